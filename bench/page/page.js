/* SPDX-License-Identifier: MIT
   The charts, drawn as SVG from the record that is in the page as JSON. Verdict and tables are in
   the page already; here they get what is comfort: swatches, series that can be dimmed, columns
   that sort. Parts: numbers for people, the record as views, styles, axes, three kinds of chart
   (lines, bars, dots), the scalability law, what is drawn where, comfort. */
"use strict";
(() => {
    const record = JSON.parse(document.getElementById("record").textContent);
    const processors = record.machine.processors;
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];

    /* ---- numbers for people ------------------------------------------------------------------ */

    const NARROW = "\u202f";
    const count = (n) => Math.round(n).toLocaleString("en");
    const short = (n) => {
        let unit = 0;
        if (n >= 999.5 && n < 9999.5)
            return count(n);
        for (; n >= 999.5 && unit < 4; unit++)
            n /= 1000;
        return parseFloat(n.toPrecision(3)) + (unit ? NARROW + "kMGT"[unit - 1] : "");
    };
    const number = (n) => {
        const size = Math.abs(n);
        if (size >= 999.5)
            return count(n);
        return size === 0 ? "0" : size < 0.1 ? String(parseFloat(n.toPrecision(2)))
            : n.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
    };
    const ratio = (n) => n < 0.0995 ? String(parseFloat(n.toPrecision(2))) : n.toFixed(n >= 99.5 ? 0 : n >= 9.95 ? 1 : 2);
    const share = (n) => (Math.abs(n) >= 0.0995 ? (n * 100).toFixed(0) : parseFloat((n * 100).toPrecision(2))) + NARROW + "%";
    const scaled = (n, step, units, text) => {
        let unit = 0;
        for (; n >= step && unit < units.length - 1; unit++)
            n /= step === 999.5 ? 1000 : step;
        return text(n) + NARROW + units[unit];
    };
    const duration = (ns) => scaled(ns, 999.5, ["ns", "µs", "ms", "s"], short);
    const bytes = (n) => scaled(n, 1024, ["bytes", "KiB", "MiB", "GiB", "TiB"], number);
    const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

    /* ---- the record as views: the rows of each workload -------------------------------------- */

    const measured = (row) => row !== undefined && row.repeats.length > 0 && row.median > 0;
    const unique = (list) => [...new Set(list)];
    const views = record.workloads.map((workload) => {
        const rows = record.rows.filter((row) => row.workload === workload.name);
        const threads = unique(rows.map((row) => row.threads)).sort((a, b) => a - b);
        return {
            workload, rows, threads,
            contenders: unique(rows.map((row) => row.contender)),
            subject: workload.subject || "latchkey",
            /* the most threads that have a processor each; what is summed up */
            main: Math.max(threads[0], ...threads.filter((n) => n <= processors)),
            row: (contender, n) => rows.find((row) => row.contender === contender && row.threads === n),
            place: all("section.workload").find((one) => one.dataset.workload === workload.name),
        };
    });

    /* ---- styles: alike on the whole page, and unlike within a workload ----------------------- */

    const STYLES = 16;
    const styles = new Map([["latchkey", 0]]);
    const owners = new Array(STYLES).fill(0);
    for (const view of [...views].sort((a, b) => b.rows.some(measured) - a.rows.some(measured)))
        for (const contender of view.contenders) {
            if (styles.has(contender))
                continue;
            const company = views.filter((other) => other.contenders.includes(contender))
                .flatMap((other) => other.contenders.map((name) => styles.get(name)));
            const least = (from) => from.reduce((best, one) => owners[one] < owners[best] ? one : best, from[0]);
            const any = [...owners.keys()].slice(1), free = any.filter((one) => !company.includes(one));
            const style = least(free.length > 0 ? free : any);
            owners[style]++;
            styles.set(contender, style);
        }

    /* ---- drawing ----------------------------------------------------------------------------- */

    const make = (space, name, attributes, children) => {
        const made = document.createElementNS(space, name);
        for (const [key, value] of Object.entries(attributes))
            made.setAttribute(key, typeof value === "number" ? Math.round(value * 10) / 10 : value);
        made.append(...children.flat().filter((child) => child !== null));
        return made;
    };
    const svg = (name, attributes = {}, ...children) => make("http://www.w3.org/2000/svg", name, attributes, children);
    const html = (name, attributes = {}, ...children) => make("http://www.w3.org/1999/xhtml", name, attributes, children);
    const text = (x, y, content, kind = "") => svg("text", { x, y, class: kind }, content);
    const path = (kind, d) => svg("path", { class: kind, d });

    /* The second half of the styles has the first one's markers again, hollow. */
    const markers = [
        "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z", "M-.88-.88H.88V.88H-.88Z", "M0-1.15L1.1.8H-1.1Z",
        "M0-1.25L1.25 0 0 1.25-1.25 0Z", "M0 1.15L1.1-.8H-1.1Z",
        "M-1-.5L-.5-1 0-.5.5-1 1-.5.5 0 1 .5.5 1 0 .5-.5 1-1 .5-.5 0Z",
        "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z", "M-.6-1.05H.6L1.2 0 .6 1.05H-.6L-1.2 0Z",
    ];
    const marker = (name, x, y, size) => {
        const style = styles.get(name);
        return svg("path", {
            class: style >= STYLES / 2 ? "mark hollow" : "mark", d: markers[style % markers.length],
            transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size})`,
        });
    };
    const swatch = (name) => svg("svg", { class: `swatch s${styles.get(name)}`, viewBox: "0 0 28 12", "aria-hidden": "true" },
        path("line", "M1 6H27"), marker(name, 14, 6, 4));
    const group = (kind, name, strong, ...children) =>
        svg("g", { class: `${kind} s${styles.get(name)}${strong ? " strong" : ""}`, "data-series": name }, ...children);

    let ids = 0;
    const picture = (chart, width, height, described, ...children) => {
        const id = `p${++ids}`;
        return svg("svg", {
            class: `chart ${chart.kind ?? ""}`, viewBox: `0 0 ${width} ${Math.ceil(height)}`, role: "img",
            "aria-labelledby": `${id}-t ${id}-d`,
        }, svg("title", { id: `${id}-t` }, `${chart.title}, ${chart.of}`),
        svg("desc", { id: `${id}-d` }, `${described} The table has the figures.`), ...children);
    };

    /* ---- axes: from a value to a place ------------------------------------------------------- */

    const axis = (low, high, ticks, logarithmic) => ({
        low, high, ticks,
        place: (value, from, to) => {
            const at = (n) => logarithmic ? Math.log(Math.max(n, low)) : n;
            return high > low ? from + (to - from) * (at(value) - at(low)) / (at(high) - at(low)) : (from + to) / 2;
        },
    });
    const axisLinear = (most, label) => {
        const power = most > 0 ? 10 ** Math.floor(Math.log10(most / 4)) : 1;
        const step = ([1, 2, 2.5, 5, 10].find((one) => one * power * 5 >= most) ?? 10) * power;
        const steps = most > 0 ? Math.ceil(most / step - 1e-9) : 1, end = most > 0 ? step * steps : 1;
        return axis(0, end, [...Array(steps + 1).keys()].map((i) => [i * end / steps, label(i * end / steps)]));
    };
    const axisDecades = (least, most, label) => {
        const first = Math.floor(Math.log10(least > 0 ? least : 1));
        const last = Math.max(first + 1, Math.ceil(Math.log10(most > 0 ? most : 10)));
        const ticks = [];
        for (let i = first; i <= last; i++)
            ticks.push([10 ** i, label(10 ** i)]);
        return axis(10 ** first, 10 ** last, ticks, true);
    };
    const axisThreads = (threads) => {
        const ticks = threads.filter((n, i) => i === 0 || n / threads[i - 1] >= 1.15 || i === threads.length - 1);
        return { ...axis(threads[0], threads.at(-1), ticks.map((n) => [n, String(n)]), true), title: "threads", mark: processors };
    };
    const axisNames = (names, title) => ({ ...axis(0, names.length - 1, names.map((name, i) => [i, name])), title });

    /* ---- lines ------------------------------------------------------------------------------- */

    const W = 480, H = 316, LEFT = 54, RIGHT = 366, TOP = 42, BOTTOM = 274, STEP = 15;

    const frame = (chart) => {
        const { x, y } = chart, parts = [];
        if (x.mark > 0 && x.mark >= x.low && x.mark < x.high) {
            const at = x.place(x.mark, LEFT, RIGHT);
            parts.push(svg("rect", { class: "beyond", x: at, y: TOP, width: RIGHT - at + 8, height: BOTTOM - TOP }),
                text(RIGHT + 8, TOP - 6, `> ${plural(x.mark, "processor")}`, "note end"));
        }
        const rows = y.ticks.map(([value, label]) => {
            const at = y.place(value, BOTTOM, TOP);
            return [path("tick", `M${LEFT} ${at.toFixed(1)}H${RIGHT + 8}`), text(LEFT - 7, at + 4, label, "end")];
        });
        const columns = x.ticks.map(([value, label]) => {
            const at = x.place(value, LEFT, RIGHT);
            return [path("tick", `M${at.toFixed(1)} ${BOTTOM}v5`), text(at, BOTTOM + 18, label, "middle")];
        });
        return [...parts, svg("g", { class: "grid" }, ...rows),
            svg("g", { class: "axis" }, path("base", `M${LEFT} ${BOTTOM}H${RIGHT + 8}`), ...columns,
                text((LEFT + RIGHT) / 2, H - 6, x.title, "title middle"), text(0, 12, y.title, "title"))];
    };

    const seriesLines = (chart, series) => {
        const x = (point) => chart.x.place(point.x, LEFT, RIGHT), y = (value) => chart.y.place(value, BOTTOM, TOP);
        const errors = series.points.filter((point) => point.high > point.low).map((point) => {
            const at = x(point), low = y(point.low).toFixed(1), high = y(point.high).toFixed(1);
            return path("error", `M${at.toFixed(1)} ${low}V${high}M${(at - 3).toFixed(1)} ${low}h6m-6 0M${(at - 3).toFixed(1)} ${high}h6`);
        });
        const line = series.line ?? series.points;
        const d = line.map((point, i) => `${i === 0 || point.gap ? "M" : "L"}${x(point).toFixed(1)} ${y(point.y).toFixed(1)}`);
        return group("series", series.name, series.strong, ...errors, line.length > 1 ? path("line", d.join("")) : null,
            ...series.points.map((point) => svg("g", {}, svg("title", {}, `${series.name}: ${chart.value(point.y)}`),
                marker(series.name, x(point), y(point.y), series.strong ? 5 : 4))));
    };

    /* Names at the ends of lines, pushed apart: down first, then up from the bottom. */
    const seriesNames = (chart, shown) => {
        const names = shown.map((series) => {
            const last = series.points.at(-1);
            return { series, x: chart.x.place(last.x, LEFT, RIGHT), y: chart.y.place(last.y, BOTTOM, TOP) };
        }).sort((a, b) => a.y - b.y);
        names.forEach((one, i) => {
            one.at = i > 0 ? Math.max(one.y, names[i - 1].at + STEP) : one.y;
        });
        for (let i = names.length - 1, most = BOTTOM + 4; i >= 0; most = names[i].at - STEP, i--)
            names[i].at = Math.min(names[i].at, most);
        return names.map(({ series, x, y, at }) => group("name", series.name, series.strong,
            path("leader", `M${(x + 7).toFixed(1)} ${y.toFixed(1)}L${RIGHT + 19} ${at.toFixed(1)}`),
            text(RIGHT + 22, at + 4, series.name)));
    };

    const describe = (chart, shown) => shown.map((series) =>
        `${series.name}: ${series.points.map((point) => chart.value(point.y)).join(", ")}.`).join(" ");

    const lines = (chart) => {
        const shown = chart.series.filter((series) => series.points.length > 0);
        const drawn = [...shown].sort((a, b) => Boolean(a.strong) - Boolean(b.strong));
        return picture(chart, W, H, describe(chart, shown), ...frame(chart),
            ...drawn.map((series) => seriesLines(chart, series)), ...seriesNames(chart, shown));
    };

    /* ---- bars: one for each contender -------------------------------------------------------- */

    const bars = (chart) => {
        const left = 118, right = W - 74, top = 24, step = 30, thick = 14;
        const shown = chart.series.filter((series) => series.points.length > 0);
        const bottom = top + step * shown.length + 4, at = (value) => chart.y.place(value, left, right);
        const grid = chart.y.ticks.map(([value, label]) => [path("tick", `M${at(value).toFixed(1)} ${top - 4}V${bottom}`),
            text(at(value), bottom + 16, label, "middle")]);
        const rows = shown.map((series, i) => {
            const point = series.points[0], middle = top + step * i + step / 2, spread = point.high > point.low;
            return group("series", series.name, series.strong, text(left - 22, middle + 4, series.name, "end"),
                path("bar", `M${left} ${middle - thick / 2}H${at(point.y).toFixed(1)}v${thick}H${left}Z`),
                marker(series.name, left - 11, middle, 4.5),
                spread ? path("whisker", `M${at(point.low).toFixed(1)} ${middle}H${at(point.high).toFixed(1)}M${at(point.low).toFixed(1)} ` +
                    `${middle - 4}v8M${at(point.high).toFixed(1)} ${middle - 4}v8`) : null,
                text(at(spread ? point.high : point.y) + 6, middle + 4, chart.value(point.y), "figure"));
        });
        return picture(chart, W, bottom + 24, describe(chart, shown), text(0, 12, chart.y.title, "title"),
            svg("g", { class: "grid" }, ...grid), ...rows);
    };

    /* ---- dots around 1, one row for each label ----------------------------------------------- */

    const dots = (chart, worse, better) => {
        const width = 720, right = width - 20, top = 46, step = 27, { left, rows } = chart;
        const values = rows.flatMap((row) => row.dots.map((dot) => dot.ratio));
        const x = axis(Math.min(chart.low, ...values) / 1.1, Math.max(1 / chart.low, ...values) * 1.1, [], true);
        const at = (value) => x.place(value, left, right), bottom = top + step * rows.length, one = at(1);
        const wanted = x.high / x.low < 5 ? [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2]
            : [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000];
        const grid = wanted.filter((n) => n >= x.low && n <= x.high).map((n) => [
            path(n === 1 ? "one" : "tick", `M${at(n).toFixed(1)} ${top - 8}V${bottom}`), text(at(n), bottom + 17, `${n} ×`, "middle")]);
        const described = rows.map((row) => `${row.label}: ${row.dots.map((dot) => `${dot.name} ${ratio(dot.ratio)}`).join(", ")}.`);
        return picture(chart, width, bottom + 28, described.join(" "),
            svg("rect", { class: "better", x: one, y: top - 8, width: right - one, height: bottom - top + 8 }),
            svg("g", { class: "title" }, text(one - 10, 18, `◀ ${worse}`, "end"), text(one + 10, 18, `${better} ▶`)),
            svg("g", { class: "grid" }, ...grid, ...rows.map((row, i) => path("row", `M${left} ${top + step * (i + 0.4)}H${right}`))),
            ...rows.map((row, i) => {
                const y = top + step * (i + 0.4);
                return [text(left - 10, y + 4, row.label, "end"), ...row.dots.map((dot) => group("series", dot.name, false,
                    svg("title", {}, `${row.label}, ${dot.name}: ${ratio(dot.ratio)} ×`), marker(dot.name, at(dot.ratio), y, 5.5)))];
            }).flat());
    };

    /* ---- the Universal Scalability Law, fitted by least squares of relative errors ------------ */

    /* Elimination with pivots; null where there is no single solution. */
    const solve = (matrix) => {
        const size = matrix.length;
        for (let i = 0; i < size; i++) {
            const pivot = matrix.slice(i).reduce((best, row, j) => Math.abs(row[i]) > Math.abs(matrix[best][i]) ? i + j : best, i);
            if (!(Math.abs(matrix[pivot][i]) > 1e-300))
                return null;
            [matrix[i], matrix[pivot]] = [matrix[pivot], matrix[i]];
            for (let j = 0; j < size; j++)
                if (j !== i) {
                    const factor = matrix[j][i] / matrix[i][i];
                    matrix[j] = matrix[j].map((value, k) => value - factor * matrix[i][k]);
                }
        }
        return matrix.map((row, i) => row[size] / row[i]);
    };
    const FIT_LEAST = 4; /* numbers of threads */
    const rateOf = (fit, n) => fit.lambda * n / (1 + fit.sigma * (n - 1) + fit.kappa * n * (n - 1));
    /* The best fit within bounds is the best of these: contention none, free or whole (1), coherence
       none or free. */
    const fitRates = (points) => {
        if (points.length < FIT_LEAST)
            return null;
        let best = null;
        for (const [contention, coherence] of [[0, 0], [1, 0], [0, 1], [1, 1], [2, 0], [2, 1]]) {
            const terms = points.map(({ n, rate }) => {
                const each = rate / n, whole = contention === 2 ? each * n : each;
                return [whole, ...(contention === 1 ? [each * (n - 1)] : []), ...(coherence ? [each * n * (n - 1)] : [])];
            });
            const factors = solve(terms[0].map((ignored, j) => [...terms[0].map((unused, k) =>
                terms.reduce((sum, own) => sum + own[j] * own[k], 0)), terms.reduce((sum, own) => sum + own[j], 0)]));
            if (factors === null || !(factors[0] > 0))
                continue;
            const second = contention === 1 ? factors[1] : contention === 2 ? factors[0] : 0;
            const third = coherence ? factors.at(-1) : 0;
            if (second < 0 || second > factors[0] || third < 0)
                continue;
            const error = terms.reduce((sum, own) => sum + (own.reduce((total, term, i) => total + term * factors[i], 0) - 1) ** 2, 0);
            if (best === null || error < best.error)
                best = { error, lambda: 1 / factors[0], sigma: second / factors[0], kappa: third / factors[0] };
        }
        if (best === null)
            return null;
        const mean = points.reduce((sum, { rate }) => sum + rate / points.length, 0);
        const spread = points.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0);
        const errors = points.reduce((sum, { n, rate }) => sum + (rate - rateOf(best, n)) ** 2, 0);
        return { ...best, r2: spread > 0 ? 1 - errors / spread : 1 };
    };
    const fitPeak = (fit) => fit.kappa > 0 ? (fit.sigma < 1 ? Math.max(1, Math.sqrt((1 - fit.sigma) / fit.kappa)) : 1) : 0;
    const fitWords = (fit, last) => {
        const peak = fitPeak(fit), law = fit.kappa > 0 ? "USL" : fit.sigma > 0 ? "Amdahl" : "linear";
        const badly = fit.r2 < 0.5 && (fit.sigma > 0 || fit.kappa > 0) ? "fits badly; " : "";
        const words = !(fit.sigma > 0) && !(fit.kappa > 0) ? "grows in step with the threads"
            : peak > 0 && peak < 1.5 ? "falls from one thread on"
            : peak > 0 && peak <= 4 * last ? `peaks near ${short(Math.round(peak))} threads, at ${ratio(rateOf(fit, peak) / fit.lambda)} × one thread`
            : fit.sigma > 0.995 ? "all threads together are as fast as one"
            : fit.sigma > 0 ? `levels off towards ${ratio(1 / fit.sigma)} × one thread` : "no peak in sight";
        return `${law}: ${badly}${words}`;
    };

    /* ---- what is drawn where ----------------------------------------------------------------- */

    /* One series for each contender: of(row) is a point's { y, low, high }, or null. */
    const overThreads = (view, of, threads = view.threads) => view.contenders.map((name) => {
        const points = [];
        let gap = false;
        for (const n of threads) {
            const row = view.row(name, n), point = row === undefined ? null : of(row);
            if (point !== null)
                points.push({ x: n, gap, ...point });
            gap = point === null;
        }
        return { name, strong: name === view.subject, points };
    });
    /* Over the numbers of threads that have a point, or as bars where there is one. */
    const draw = (view, chart) => {
        const threads = unique(chart.series.flatMap((series) => series.points.map((point) => point.x))).sort((a, b) => a - b);
        if (threads.length === 0)
            return null;
        const full = { of: view.workload.name, value: number, ...chart };
        return threads.length > 1 ? lines({ ...full, x: axisThreads(threads) }) : bars(full);
    };
    const most = (series) => Math.max(0, ...series.flatMap((one) => one.points.map((point) => point.high ?? point.y)));
    const figure = (caption, chart, ...more) => chart === null ? null
        : html("figure", {}, html("figcaption", {}, caption), chart, ...more);

    const throughput = (view) => {
        const scale = view.workload.scale;
        const series = overThreads(view, (row) => {
            const rates = row.repeats.map((repeat) => repeat.rate / scale);
            return measured(row) ? { y: row.median / scale, low: Math.min(...rates), high: Math.max(...rates) } : null;
        });
        return figure("Throughput: medians; bars reach from the slowest to the fastest repeat.", draw(view,
            { kind: "throughput", title: "Throughput", series, y: { ...axisLinear(most(series), short), title: view.workload.unit } }));
    };

    const latency = (view) => {
        const points = [["p50", "p50_ns", 1], ["p90", "p90_ns", 10], ["p99", "p99_ns", 100], ["p99.9", "p999_ns", 1000], ["max", "maximum_ns", 1]];
        const series = view.contenders.map((name) => {
            const known = view.row(name, view.main)?.latency, total = known?.count ?? 0;
            return {
                name, strong: name === view.subject,
                points: points.map(([, key, least], x) => ({ x, y: total >= least ? Math.max(1, known[key] ?? 1) : 0 })).filter((point) => point.y > 0),
            };
        });
        const values = series.flatMap((one) => one.points.map((point) => point.y));
        return values.length === 0 ? null : figure(`Latency by percentile${view.main > 0 ? `, with ${plural(view.main, "thread")}` : ""}; the scale is logarithmic.`,
            lines({
                kind: "latency", title: "Latency by percentile", of: view.workload.name, series, value: duration,
                x: axisNames(points.map(([name]) => name), "percentile"),
                y: { ...axisDecades(Math.min(...values), Math.max(...values), duration), title: "latency" },
            }));
    };

    const fairness = (view) => {
        const series = overThreads(view, (row) => measured(row) && row.threads > 1 && row.jain > 0 ? { y: row.slowest } : null,
            view.threads.filter((n) => n > 1));
        return figure("Fairness: what the slowest thread did, of what the fastest one did.", draw(view, {
            kind: "fairness", title: "Fairness: the slowest thread's part of the fastest's", series, value: share,
            y: { ...axisLinear(1, share), title: "slowest / fastest thread" },
        }));
    };

    const scaling = (view) => {
        if (record.options.rate > 0 || view.threads.length < FIT_LEAST || view.threads[0] === 0)
            return null;
        const first = view.threads[0], last = view.threads.at(-1), words = [];
        const series = overThreads(view, (row) => measured(row) ? { y: row.median } : null).map((one) => {
            const fit = fitRates(one.points.map((point) => ({ n: point.x, rate: point.y })));
            if (fit === null)
                return { ...one, points: [] };
            words.push(html("li", {}, `${one.name}: ${fitWords(fit, last)} (contention ${share(fit.sigma)}, coherence ${share(fit.kappa)}, R² ${fit.r2.toFixed(2)})`));
            const line = [...Array(41).keys()].map((i) => first * (last / first) ** (i / 40)).map((x) => ({ x, y: rateOf(fit, x) / fit.lambda }));
            return { ...one, points: one.points.map((point) => ({ ...point, y: point.y / fit.lambda })), line };
        });
        const high = Math.max(1, ...series.flatMap((one) => [...one.points, ...(one.line ?? [])].map((point) => point.y)));
        return words.length === 0 ? null : figure("Scaling. Marks: measured. Lines: the Universal Scalability Law, fitted" +
            (last > processors ? "; beyond the processors the scheduler is fitted as well." : "."), draw(view, {
            kind: "scaling", title: "Scaling: rate over the fitted rate of one thread", series, value: ratio,
            y: { ...axisLinear(high, short), title: "times one thread" },
        }), html("ul", { class: "fits" }, ...words));
    };

    /* One chart for each name among the rows' figures that pass. */
    const figures = (view, passes) => {
        const found = new Map(view.rows.flatMap((row) => row.figures.filter(passes)).map((one) => [`${one.name}\n${one.unit}`, one]));
        return [...found.values()].map((like) => {
            const factor = like.contention && like.unit === "" ? 1000 : 1, value = like.unit === "bytes" ? bytes : like.unit === "ns" ? duration : number;
            const series = overThreads(view, (row) => {
                const own = row.figures.find((one) => one.name === like.name && one.unit === like.unit);
                return own === undefined ? null : { y: Math.max(0, own.value * factor) };
            });
            const title = like.name + (factor !== 1 ? " per 1,000 operations" : like.unit !== "" && like.unit !== "bytes" ? `, ${like.unit}` : "");
            return most(series) === 0 ? null : figure(title, draw(view, { title, series, value, y: { ...axisLinear(most(series), value === number ? short : value), title } }));
        });
    };

    const races = (view) => {
        const series = overThreads(view, (row) => measured(row) && row.transacts ? { y: row.commits > 0 ? row.races / row.commits : 0 } : null);
        return most(series) === 0 ? null : figure("Races per commit that succeeded.", draw(view,
            { title: "Races per commit", series, value: share, y: { ...axisLinear(most(series), share), title: "races per commit" } }));
    };
    const attempts = (view) => {
        const n = Math.max(0, ...view.rows.filter((row) => row.attempts).map((row) => row.threads));
        const series = view.contenders.map((name) => {
            const own = view.row(name, n)?.attempts ?? [], sum = own.reduce((a, b) => a + b, 0);
            return { name, strong: name === view.subject, points: own.map((one, x) => ({ x, y: one / sum, gap: x > 0 && own[x - 1] === 0 })).filter((point) => point.y > 0) };
        });
        const values = series.flatMap((one) => one.points.map((point) => point.y));
        return values.length === 0 || Math.min(...values) === 1 ? null : figure(`Attempts per commit, with ${plural(n, "thread")}.`, lines({
            title: "Attempts per commit", of: view.workload.name, series, value: share, x: axisNames(["1", "2", "3–4", "5–8", "9–16", "more"], "attempts"),
            y: { ...axisDecades(Math.min(...values), 1, share), title: "of all commits" },
        }));
    };
    const hot = (view) => {
        const series = overThreads(view, (row) => row.raced_keys > 0 ? { y: (row.hot_keys ?? []).reduce((sum, key) => sum + key.share_least, 0) } : null);
        return most(series) === 0 ? null : figure("Hot keys: what at most eight keys are of all that raced.", draw(view,
            { title: "Hot keys: their part of all that raced", series, value: share, y: { ...axisLinear(1, share), title: "hot keys of all that raced" } }));
    };

    const put = (place, ...charts) => place?.append(...charts.flat().filter((chart) => chart !== null));
    for (const view of views.filter((one) => one.rows.length > 0)) {
        const place = (name) => view.place.querySelector(name);
        put(place(".charts"), throughput(view), latency(view), fairness(view), scaling(view));
        put(place(".charts.figures"), figures(view, (one) => !one.contention));
        put(place(".charts.counters"), races(view), attempts(view), hot(view), figures(view, (one) => one.contention));
    }

    /* All workloads at a glance: each rival at the number of threads that is worst for latchkey. */
    const rivals = (view) => unique(view.rows.filter((row) => row.rival && row.versus > 0).map((row) => row.contender));
    const glance = views.map((view) => ({
        label: view.workload.name,
        dots: rivals(view).map((name) => ({ name, ratio: Math.min(...view.rows.filter((row) => row.contender === name && row.versus > 0).map((row) => row.versus)) })),
    })).filter((row) => row.dots.length > 0);
    if (glance.length > 0) {
        const shown = unique(glance.flatMap((row) => row.dots.map((dot) => dot.name)));
        put(document.getElementById("glance"), html("h3", {}, "At a glance"), html("figure", { class: "wide" },
            html("figcaption", {}, "Each mark is one rival, at the number of threads with which latchkey does worst against it."),
            dots({ title: "How many times as fast as each rival latchkey is", of: "all workloads", left: 150, low: 0.4, rows: glance },
                "latchkey is slower", "latchkey is faster"),
            html("ul", { class: "legend", "aria-label": "Rivals" }, ...shown.map((name) => html("li", {}, swatch(name), name)))));
    }

    /* Since the baseline: the rows that changed most. */
    const compared = record.rows.filter((row) => row.comparison)
        .sort((a, b) => Math.abs(b.comparison.difference) - Math.abs(a.comparison.difference)).slice(0, 24);
    if (compared.length > 0)
        put(document.querySelector("#baseline .charts"), html("figure", { class: "wide" },
            html("figcaption", {}, "The rows that changed most: workload, contender, threads."), dots({
                title: "How many times as good as the baseline", of: "rows with the largest changes", left: 240, low: 0.8,
                rows: compared.map((row) => ({
                    label: `${row.workload.slice(0, 16)}, ${row.contender.slice(0, 14)}, ${row.threads}`,
                    dots: [{ name: row.contender, ratio: Math.max(0.001, 1 + row.comparison.difference) }],
                })),
            }, "worse", "better")));

    /* ---- comfort ----------------------------------------------------------------------------- */

    const button = (content, action) => {
        const made = html("button", { type: "button" }, ...content);
        made.addEventListener("click", () => action(made));
        return made;
    };
    /* The heads of rows have their swatch, and dim the series of their workload. */
    for (const head of all("th.who")) {
        const name = head.dataset.series, section = head.closest("section");
        const toggle = button([swatch(name), name], () => {
            const off = !toggle.classList.contains("off");
            for (const part of all(".chart [data-series], th.who > button", section))
                if ((part.dataset.series ?? part.parentNode.dataset.series) === name)
                    part.classList.toggle("off", off);
            toggle.setAttribute("aria-pressed", !off);
        });
        toggle.setAttribute("aria-pressed", "true");
        toggle.title = `show or dim ${name}`;
        head.replaceChildren(toggle);
    }
    /* A column's head sorts by it, up and down in turn. */
    for (const table of all("table.rows")) {
        const heads = all("thead th", table), body = table.tBodies[0];
        heads.forEach((head, column) => head.append(button([...head.childNodes], () => {
            const up = head.getAttribute("aria-sort") !== "ascending";
            heads.forEach((other) => other.removeAttribute("aria-sort"));
            head.setAttribute("aria-sort", up ? "ascending" : "descending");
            const key = (row) => row.cells[column].textContent.replace(/^[▲=▼?] \w+, |,/g, "");
            const unit = (value) => parseFloat(value) * ({ "µs": 1e3, ms: 1e6, s: 1e9 }[value.split(NARROW)[1]] ?? 1);
            const order = (a, b) => isNaN(unit(key(a))) || isNaN(unit(key(b))) ? key(a).localeCompare(key(b)) : unit(key(a)) - unit(key(b));
            body.append(...[...body.rows].sort((a, b) => up ? order(a, b) : order(b, a)));
        })));
    }
    /* A table that is wider, or longer, than its box says that it scrolls. */
    const wide = () => all(".scroll").forEach((box) => {
        const table = box.querySelector("table");
        box.classList.toggle("wide", table.offsetWidth > box.clientWidth || table.offsetHeight > box.clientHeight + 1);
    });
    wide();
    addEventListener("resize", wide);
    all("details").forEach((one) => one.addEventListener("toggle", wide));

    const command = document.querySelector(".command");
    const copy = button(["Copy"], () => navigator.clipboard?.writeText(command.textContent).then(() => {
        copy.textContent = "Copied";
    }));
    const save = button(["Save the record as JSON"], () => {
        const link = html("a", { download: "latchkey-bench.json" });
        link.href = URL.createObjectURL(new Blob([document.getElementById("record").textContent], { type: "application/json" }));
        link.click();
        URL.revokeObjectURL(link.href);
    });
    copy.className = save.className = "tool";
    command.after(copy, save);

    /* For those who check the page. */
    window.latchkeyPage = { fitRates, fitPeak, fitWords, rateOf, text: { number, short, ratio, share, duration, bytes } };
})();
