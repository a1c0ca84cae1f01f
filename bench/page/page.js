/* SPDX-License-Identifier: MIT
   Comfort only: the report is complete without. Series can be dimmed, the table of all rows sorted,
   the command copied, the record saved; tables say that they scroll in every browser. */
"use strict";
(() => {
    const button = (text, action) => {
        const made = document.createElement("button");
        made.type = "button";
        made.append(...(typeof text === "string" ? [text] : text));
        made.addEventListener("click", () => action(made));
        return made;
    };

    /* A table that is wider, or longer, than its box says that it scrolls. */
    const boxes = [...document.querySelectorAll(".scroll")];
    const wide = () => boxes.forEach((box) => {
        const table = box.querySelector("table");
        box.classList.toggle("wide", table.offsetWidth > box.clientWidth || table.offsetHeight > box.clientHeight + 1);
    });
    wide();
    addEventListener("resize", wide);

    /* The heads of a figure's rows switch its series. */
    for (const figure of document.querySelectorAll("figure.pair")) {
        for (const head of figure.querySelectorAll("th.who")) {
            const name = head.dataset.series;
            const toggle = button([...head.childNodes], (self) => {
                const shown = self.getAttribute("aria-pressed") === "false";
                for (const other of figure.querySelectorAll("th.who > button"))
                    if (other.parentNode.dataset.series === name) {
                        other.setAttribute("aria-pressed", shown);
                        other.classList.toggle("off", !shown);
                    }
                for (const part of figure.querySelectorAll(".chart [data-series]"))
                    if (part.dataset.series === name)
                        part.classList.toggle("off", !shown);
            });
            toggle.setAttribute("aria-pressed", "true");
            toggle.title = "show or dim " + name;
            head.append(toggle);
        }
    }

    /* A column's head sorts by it, up and down in turn. */
    const body = document.querySelector("#rows tbody");
    const heads = [...document.querySelectorAll("#rows thead th")];
    heads.forEach((head, column) => {
        head.append(button([...head.childNodes], () => {
            const up = head.getAttribute("aria-sort") !== "ascending";
            heads.forEach((other) => other.removeAttribute("aria-sort"));
            head.setAttribute("aria-sort", up ? "ascending" : "descending");
            const text = (row) => row.cells[column].textContent;
            const order = (a, b) => {
                const x = parseFloat(text(a)), y = parseFloat(text(b));
                return isNaN(x) || isNaN(y) ? text(a).localeCompare(text(b)) : x - y;
            };
            body.append(...[...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))));
        }));
    });

    const command = document.querySelector(".command");
    const copy = button("Copy", (self) => {
        navigator.clipboard?.writeText(command.textContent).then(() => {
            self.textContent = "Copied";
        });
    });
    copy.className = "tool";
    command.after(copy);

    const save = button("Save the record as JSON", () => {
        const link = document.createElement("a");
        const text = document.getElementById("record").textContent;
        link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
        link.download = "latchkey-bench.json";
        link.click();
        URL.revokeObjectURL(link.href);
    });
    save.className = "tool";
    document.querySelector("#rows > p").after(save);
})();
