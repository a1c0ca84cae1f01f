/* SPDX-License-Identifier: MIT
 *
 * Put at the end of a report by tests/bench/report: looks at the page as the browser has laid it
 * out, and tells the page around it what is wrong.
 */
"use strict";
addEventListener("load", () => {
    const wrong = [];
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const expect = (holds, ...what) => holds || wrong.push(what.join(" "));

    /* ---- charts: drawn, named, as many marks as the table has figures ---- */
    const scripted = all("button").length > 0;
    const charts = all("svg.chart");
    all("details").forEach((one) => { one.open = true; });
    dispatchEvent(new Event("resize"));
    expect(charts.length > 0 || !scripted, "chart: there is none");
    for (const chart of charts) {
        const name = chart.querySelector(":scope > title")?.textContent ?? "";
        const frame = chart.getBoundingClientRect();
        expect(name.length > 5, "chart: no title");
        expect(chart.getAttribute("role") === "img", "chart: no image:", name);
        expect((chart.querySelector("desc")?.textContent ?? "").length > 20, "chart: no description:", name);
        expect(frame.width > 100 && frame.height > 40, "chart: not laid out:", name);
        expect(!/NaN|inf/.test(chart.innerHTML), "chart: not a number:", name);
        const marks = all(".mark", chart);
        expect(marks.length > 0, "chart: no marks:", name);
        for (const mark of marks) {
            const box = mark.getBoundingClientRect();
            expect(box.width > 1 && box.height > 1, "chart: empty mark:", name);
            expect(box.left >= frame.left - 2 && box.right <= frame.right + 2 && box.top >= frame.top - 2 &&
                box.bottom <= frame.bottom + 2, "chart: mark outside:", name);
        }
        /* No text lies over another one, and no mark over a title. */
        const places = all("text", chart).map((text) => ({ text, box: text.getBoundingClientRect() }));
        const meet = (one, other) => one.left < other.right - 1 && other.left < one.right - 1 &&
            one.top < other.bottom - 1 && other.top < one.bottom - 1;
        for (const { text, box } of places.filter(({ text }) => text.closest(".title"))) {
            for (const other of places)
                expect(other.text === text || !meet(box, other.box), "chart: title covered by", other.text.textContent, name);
            for (const mark of marks)
                expect(!meet(box, mark.getBoundingClientRect()), "chart: title covered by a mark:", name);
        }
        for (const line of all(".line", chart))
            expect(line.getTotalLength() > 20, "chart: no line:", name);
        for (const label of all("text", chart))
            expect(label.getBoundingClientRect().width > 0, "chart: no text:", name);
    }
    for (const figure of all("figure")) {
        expect(figure.querySelector("figcaption")?.textContent, "figure: no caption");
        expect(figure.querySelector("svg.chart"), "figure: no chart");
    }
    for (const section of all(".workload")) {
        const rates = all("table.rows td.main", section).filter((cell) => cell.textContent !== "–").length;
        const marks = all(".chart.throughput .mark", section).length;
        expect(section.querySelector("table"), "table: none:", section.id);
        expect(!scripted || rates === marks, "chart:", marks, "marks for", rates, "rates:", section.id);
    }

    /* ---- the fit of the scalability law: exact rates give their terms, rough ones are near, bounds hold ---- */
    if (scripted) {
        const { fitRates, fitPeak, rateOf, text } = window.latchkeyPage, threads = [1, 2, 4, 8, 16];
        const fitted = (lambda, sigma, kappa, error) => fitRates(threads.map((n, i) =>
            ({ n, rate: rateOf({ lambda, sigma, kappa }, n) * (1 + (i % 2 === 0 ? error : -error)) })));
        for (const [lambda, sigma, kappa] of [[1e7, .05, .01], [2e6, .25, 0], [5e5, 0, 0], [3e6, 0, .02], [1e6, 1, 0], [1e6, 1, .3]]) {
            const fit = fitted(lambda, sigma, kappa, 0);
            expect(Math.abs(fit.lambda / lambda - 1) < 1e-6 && Math.abs(fit.sigma - sigma) < 1e-6 &&
                Math.abs(fit.kappa - kappa) < 1e-6 && fit.r2 > 0.999999, "fit:", lambda, sigma, kappa);
        }
        const rough = fitted(1e7, .05, .01, .03), peak = fitPeak(rough);
        expect(Math.abs(rough.lambda / 1e7 - 1) < .06 && rough.sigma >= 0 && rough.sigma < .15 && rough.kappa > .005 &&
            rough.kappa < .02 && rough.r2 > .95 && rough.r2 < 1, "fit: rough rates");
        expect(rateOf(rough, peak) > rateOf(rough, peak * 1.01) && rateOf(rough, peak) > rateOf(rough, peak * .99), "fit: no peak");
        const better = fitRates(threads.map((n) => ({ n, rate: 1e6 * n ** 1.2 })));
        const worse = fitRates(threads.map((n) => ({ n, rate: 1e6 / n })));
        expect(better.sigma === 0 && better.kappa === 0 && worse.sigma <= 1 && worse.kappa > 0 && fitPeak(worse) === 1, "fit: bounds");
        expect(fitRates([1, 2, 4].map((n) => ({ n, rate: n }))) === null, "fit: of three points");
        const said = [text.number(9.996), text.number(1459.6), text.short(1.5e6), text.share(.05), text.share(1.866), text.ratio(.0671),
            text.duration(1148), text.bytes(25276510208)].join(" ").replaceAll("\u202f", "_");
        expect(said === "10.0 1,460 1.5_M 5_% 187_% 0.067 1.15_µs 23.5_GiB", "numbers:", said);
    }

    /* ---- structure ---- */
    let level = 0;
    for (const heading of all("h1, h2, h3, h4, h5, h6")) {
        const own = Number(heading.tagName[1]);
        expect(own <= level + 1, "heading: a level is left out:", heading.textContent);
        level = own;
    }
    expect(all("h1").length === 1, "heading: not one h1");
    for (const place of ["header", "nav[aria-label]", "main"])
        expect(all(place).length === 1, "landmark:", place);
    expect(document.documentElement.lang === "en", "no language");
    const ids = all("[id]").map((one) => one.id);
    expect(new Set(ids).size === ids.length, "id: twice");
    for (const one of all("[aria-labelledby]"))
        for (const id of one.getAttribute("aria-labelledby").split(" "))
            expect(document.getElementById(id), "id: names nothing:", id);
    const skip = all("a")[0];
    expect(skip.matches(".skip") && document.querySelector(skip.getAttribute("href")), "no skip link");
    for (const table of all("table")) {
        const caption = table.caption?.textContent ?? "";
        expect(caption.length > 3, "caption: none:", table.textContent.slice(0, 40));
        for (const head of all("th", table))
            expect(head.scope, "th: no scope:", caption);
        const widths = [...table.rows].map((row) => [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0));
        expect(Math.max(...widths) > 1, "table: empty:", caption);
    }

    /* ---- nothing from elsewhere ---- */
    for (const one of all("[src], [href], [srcset], [data], [action], [poster]"))
        for (const name of ["src", "href", "srcset", "data", "action", "poster"])
            expect(!one.hasAttribute(name) || /^(#|data:,$)/.test(one.getAttribute(name)), "link:", name,
                one.getAttribute(name));
    for (const style of all("style"))
        expect(!/url\(|@import|image-set/.test(style.textContent), "link: in the style");
    expect(performance.getEntriesByType("resource").length === 0, "link: resources were loaded");

    /* ---- what came from outside is text ---- */
    expect(all("i, u").length === 0, "escape: a name became an element");
    expect(window.hacked === undefined, "escape: a script ran");
    const record = JSON.parse(document.getElementById("record").textContent);
    expect(record.rows.length === all(".workload table.rows tbody tr").length + record.rows.filter((row) =>
        !(row.median > 0) && row.fault === "" && row.missing === "").length, "record: not all rows");

    /* ---- what scrolls says so, and nothing else does: by the page's script, as animations stand still in a frame that
       is not in view ---- */
    for (const box of all(".scroll")) {
        const table = box.querySelector("table"), more = box.querySelector(".more");
        const says = getComputedStyle(more).visibility === "visible" && more.getBoundingClientRect().height > 8;
        const sideways = table.offsetWidth > box.clientWidth, long = table.offsetHeight > box.clientHeight + 1;
        const what = table.caption?.textContent;
        expect(says || !scripted || !(sideways || long), "table: does not say that it scrolls:", what);
        expect(!says || sideways || long, "table: says that it scrolls, and does not:", what);
    }

    /* ---- layout ---- */
    const root = document.documentElement;
    expect(root.scrollWidth <= root.clientWidth, "layout: the page scrolls sideways:", root.scrollWidth);
    skip.focus();
    const outline = getComputedStyle(skip);
    expect(outline.outlineStyle !== "none" && parseFloat(outline.outlineWidth) >= 2, "focus: not visible");

    /* ---- contrast: 4.5 for text, 3 for what is drawn (WCAG 2, AA) ---- */
    const channels = (color) => {
        const parts = color.match(/[\d.]+/g).map(Number);
        return { rgb: parts.slice(0, 3), alpha: parts[3] ?? 1 };
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((one) => {
            one /= 255;
            return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const paper = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color.alpha === 1)
                return color.rgb;
        }
        return [255, 255, 255];
    };
    const shades = (element) => [paper(element), ...all(".beyond, .better", element.ownerSVGElement ?? document.head)
        .map((one) => channels(getComputedStyle(one).fill).rgb)];
    const faint = (element, color, least, what) => {
        for (const behind of shades(element)) {
            const seen = contrast(channels(color).rgb, behind);
            expect(seen >= least, "contrast:", seen.toFixed(2), what, color);
        }
    };
    for (const element of all("body *")) {
        const style = getComputedStyle(element);
        if (element.matches("script, style, title, desc") || style.display === "none")
            continue;
        const texts = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (texts)
            faint(element, element.ownerSVGElement ? style.fill : style.color, 4.5, element.textContent.slice(0, 20));
        else if (element.matches(".chart .mark:not(.hollow), .chart .strong .bar"))
            faint(element, style.fill, 3, element.parentNode.textContent);
        else if (element.matches(".chart .line, .chart .mark.hollow"))
            faint(element, style.stroke, 3, "a line");
    }

    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    parent.postMessage({
        wrong: [...new Set(wrong)],
        seen: `${innerWidth} px, ${dark ? "dark" : "light"}, ${charts.length} charts, ${all("table").length} tables`
    }, "*");
});
