/** Shows crops one at a time, with a caption and, where there are several, a way to leaf. */

import { caption, draw } from "./crop_drawing.js";
import { filled } from "./crop_words.js";
import { element, signButton } from "./dom.js";

/**
 * @typedef {import("./crop_drawing.js").CropView} CropView
 * @typedef {import("./crop_words.js").Words} Words
 */

export class CropPanel {
    /**
     * @param {(file: FileReference) => string} addressOf
     * @param {Words} words
     */
    constructor(addressOf, words) {
        this.addressOf = addressOf;
        this.words = words;
        /** @type {CropView[]} */
        this.views = [];
        this.at = 0;
        this.stage = element("div", { class: "cc-stage" });
        this.text = element("div", { class: "cc-caption", role: "status" });
        this.previous = signButton("‹", words.previous, () => this.#leaf(-1));
        this.next = signButton("›", words.next, () => this.#leaf(1));
        const bar = element("div", { class: "cc-bar" }, this.previous, this.text, this.next);
        this.element = element("div", { class: "cleanplate-crop" }, this.stage, bar);
        this.say("");
    }

    /**
     * Shows crops.
     *
     * @param {CropView[]} views
     */
    show(views) {
        this.views = views;
        this.at = Math.min(this.at, views.length - 1);
        this.element.classList.remove("cc-stale");
        this.#draw();
    }

    /**
     * Shows a text, and what was shown before as out of date.
     *
     * @param {string} text
     */
    say(text) {
        this.element.classList.add("cc-stale");
        this.text.textContent = text;
        this.previous.hidden = this.next.hidden = true;
    }

    #draw() {
        const view = this.views[this.at];
        if (!view) return;
        const count = this.views.length;
        const place = count > 1 ? `${this.at + 1}/${count}: ` : "";
        const sizes = caption(view, this.words);
        this.text.textContent = place + sizes;
        this.previous.hidden = this.next.hidden = count < 2;
        const drawing = draw(view, view.picture && this.addressOf(view.picture));
        drawing.setAttribute("role", "img");
        drawing.setAttribute("aria-label", filled(this.words.drawing, { sizes }));
        this.stage.replaceChildren(drawing);
    }

    /** @param {number} by */
    #leaf(by) {
        this.at = (this.at + by + this.views.length) % this.views.length;
        this.#draw();
    }
}
