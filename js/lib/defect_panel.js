/**
 * The report of an inspection: the picture, and a row for each defect that shows its place.
 *
 * @typedef {object} Defect
 * @property {string} kind
 * @property {string} title
 * @property {string} group
 * @property {number} severity - from 0 to 1
 * @property {string} reason
 * @property {{ x: number, y: number, width: number, height: number } | null} box - in pixels; null
 *     for what is wrong with the picture as a whole
 *
 * @typedef {object} Inspected - one picture
 * @property {FileReference} picture
 * @property {number} width
 * @property {number} height
 * @property {boolean | null} passed
 * @property {Defect[]} defects
 */

import { element, shape, signButton } from "./dom.js";

export class DefectPanel {
    /**
     * @param {(file: FileReference) => string} addressOf
     * @param {import("./defect_words.js").Words} words
     */
    constructor(addressOf, words) {
        this.addressOf = addressOf;
        this.words = words;
        /** @type {Inspected[]} */
        this.pictures = [];
        this.at = 0;
        this.stage = element("div", { class: "cd-stage" });
        this.list = element("ul", { class: "cd-list" });
        this.text = element("span", { class: "cd-text", role: "status" }, words.waiting);
        this.previous = signButton("‹", words.previous, () => this.#leaf(-1));
        this.next = signButton("›", words.next, () => this.#leaf(1));
        this.bar = element("div", { class: "cd-bar" }, this.previous, this.text, this.next);
        this.element = element(
            "div",
            { class: "cleanplate-defects" },
            this.stage,
            this.bar,
            this.list,
        );
        this.previous.hidden = this.next.hidden = true;
    }

    /** @param {Inspected[]} pictures */
    show(pictures) {
        this.pictures = pictures;
        this.at = Math.min(this.at, pictures.length - 1);
        this.#draw();
    }

    #draw() {
        const inspected = this.pictures[this.at];
        if (!inspected) return;
        const { picture, width, height, defects } = inspected;
        const count = this.pictures.length;
        const place = count > 1 ? `${this.at + 1}/${count}: ` : "";
        const found = defects.length
            ? this.words.found.replace("{count}", `${defects.length}`)
            : this.words.nothing;
        this.text.textContent = place + found;
        this.previous.hidden = this.next.hidden = count < 2;
        const drawing = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
        drawing.setAttribute("aria-label", found);
        const size = { width: `${width}`, height: `${height}` };
        drawing.append(shape("image", { ...size, href: this.addressOf(picture) }));
        this.stage.replaceChildren(drawing);
        this.list.replaceChildren(...defects.map((defect) => this.#row(defect, drawing)));
    }

    /**
     * @param {Defect} defect
     * @param {SVGSVGElement} drawing
     */
    #row({ title, group, severity, reason, box }, drawing) {
        const row = element(
            "li",
            { class: "cd-row", tabindex: "0", "data-group": group, title: reason },
            element("strong", {}, title),
            element("span", { class: "cd-severity" }, `${Math.round(severity * 100)} %`),
            element("span", { class: "cd-reason" }, reason),
        );
        const place = box ?? drawing.viewBox.baseVal;
        const mark = shape("rect", {
            class: "cd-mark",
            "data-group": group,
            x: `${place.x}`,
            y: `${place.y}`,
            width: `${place.width}`,
            height: `${place.height}`,
        });
        const show = () => drawing.append(mark);
        const hide = () => {
            if (!row.matches(":hover, :focus")) mark.remove();
        };
        for (const kind of ["pointerenter", "focus"]) row.addEventListener(kind, show);
        for (const kind of ["pointerleave", "blur"]) row.addEventListener(kind, hide);
        return row;
    }

    /** @param {number} by */
    #leaf(by) {
        this.at = (this.at + by + this.pictures.length) % this.pictures.length;
        this.#draw();
    }
}
