/**
 * The elements of the comparer.
 *
 * @typedef {ReturnType<typeof makeParts>} Parts
 */

import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** Drawings of 16 by 16, in lines. */
const ICONS = {
    difference: "M2.5 2.5h8v8h-8zM5.5 5.5h8v8h-8z",
    mask: "M8 2.5c4 0 5.5 2 5.5 5S11 13.5 8 13.5 2.5 11 2.5 8 4 2.5 8 2.5z",
    larger: "M3.5 8h9M8 3.5v9",
    smaller: "M3.5 8h9",
    previous: "M10 3.5L5.5 8l4.5 4.5",
    next: "M6 3.5L10.5 8 6 12.5",
};

let made = 0;

/**
 * Makes them, empty.
 *
 * @param {import("./compare_words.js").Words} words
 */
export function makeParts(words) {
    const worlds = { before: world(), after: world() };
    const before = element("div", { class: "cp-layer cp-before" }, worlds.before);
    const after = element("div", { class: "cp-layer cp-after" }, worlds.after);
    const pictures = element("div", { class: "cp-pictures" }, after, before);

    const clip = `cleanplate-clip-${made++}`;
    const inside = drawing("path", { "clip-rule": "evenodd" });
    const line = drawing("path", { class: "cp-line" });
    const halo = drawing("path", { class: "cp-halo" });
    const lines = drawing("g", {}, halo, line);
    const overlay = drawing(
        "svg",
        { class: "cp-overlay", "aria-hidden": "true" },
        drawing("defs", {}, drawing("clipPath", { id: clip }, inside)),
        lines,
    );

    const labels = { before: label("cp-before"), after: label("cp-after") };
    const labelsBefore = element("div", { class: "cp-layer" }, labels.before);
    const labelsAfter = element("div", { class: "cp-layer" }, labels.after);
    const handle = element("div", { class: "cp-handle" }, element("div", { class: "cp-grip" }));
    const verdict = element("span", { class: "cp-label cp-verdict" });
    const message = element("div", { class: "cp-message", role: "status" });
    const stage = element(
        "div",
        {
            class: "cp-stage",
            tabindex: "0",
            role: "slider",
            "aria-label": words.slider,
            "aria-description": words.hint,
            "aria-valuemin": "0",
            "aria-valuemax": "100",
        },
        pictures,
        overlay,
        labelsAfter,
        labelsBefore,
        handle,
        verdict,
        message,
    );

    const gain = element("input", {
        type: "range",
        min: "0",
        max: "6",
        step: "1",
        class: "cp-gain",
    });
    gain.setAttribute("aria-label", words.gain);
    gain.title = words.gain;
    const gainValue = element("output", { class: "cp-number" });
    const zoomValue = element("button", { type: "button", class: "cp-number", title: words.fit });
    zoomValue.setAttribute("aria-label", words.fit);
    const count = element("output", { class: "cp-number" });
    const buttons = {
        difference: button("difference", words.difference),
        mask: button("mask", words.mask.outline),
        smaller: button("smaller", words.smaller),
        larger: button("larger", words.larger),
        previous: button("previous", words.previous),
        next: button("next", words.next),
    };
    const gains = element("span", { class: "cp-group" }, gain, gainValue);
    const picker = element("span", { class: "cp-group" }, buttons.previous, count, buttons.next);
    const bar = element(
        "div",
        { class: "cp-bar", role: "toolbar", title: words.hint, "aria-label": words.tools },
        buttons.difference,
        gains,
        buttons.mask,
        element("span", { class: "cp-space" }),
        picker,
        element("span", { class: "cp-group" }, buttons.smaller, zoomValue, buttons.larger),
    );

    // The page leaves the wheel to what has the focus within such an element.
    const root = element("div", { class: "cleanplate-compare", "data-capture-wheel": "true" });
    root.append(stage, bar);
    return {
        root,
        stage,
        pictures,
        before,
        worlds,
        clip: `url(#${clip})`,
        inside,
        outlines: [halo, line],
        lines,
        overlay,
        labels,
        labelsBefore,
        labelsAfter,
        handle,
        message,
        bar,
        buttons,
        gain,
        gains,
        gainValue,
        zoomValue,
        picker,
        count,
        verdict,
    };
}

function world() {
    return element("div", { class: "cp-world" });
}

/** @param {string} side */
function label(side) {
    return element("span", { class: `cp-label ${side}` });
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
function drawing(tag, attributes, ...children) {
    const drawn = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) drawn.setAttribute(name, value);
    drawn.append(...children);
    return drawn;
}

/**
 * @param {keyof typeof ICONS} icon
 * @param {string} name
 */
function button(icon, name) {
    const icons = { viewBox: "0 0 16 16", "aria-hidden": "true" };
    const made = element("button", { type: "button", class: "cp-button", title: name });
    made.setAttribute("aria-label", name);
    made.append(drawing("svg", icons, drawing("path", { d: ICONS[icon] })));
    return made;
}
