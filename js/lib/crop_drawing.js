/**
 * A picture with the boxes of a crop drawn over it.
 *
 * @typedef {[x: number, y: number, width: number, height: number]} Box - in pixels of the image
 * @typedef {[width: number, height: number]} Size
 *
 * @typedef {object} CropView - see views_of in nodes/crop_view.py
 * @property {number} number - of the image
 * @property {Size} image
 * @property {Box} bounds - what stitching gives
 * @property {Box | null} mask
 * @property {Box | null} changing
 * @property {Box | null} context
 * @property {Box} crop
 * @property {Size} size
 * @property {Size} [model] - what UpscaleToModelRes makes of the crop
 * @property {FileReference | null} picture
 */

import { filled } from "./crop_words.js";
import { shape } from "./dom.js";

/**
 * Draws a crop. Everything lies in one coordinate system, that of the image's pixels.
 *
 * @param {CropView} view
 * @param {string | null} address - of the picture
 * @returns {SVGSVGElement}
 */
export function draw(view, address) {
    const [width, height] = view.image;
    /** @type {Box} */
    const image = [0, 0, width, height];
    const all = around([image, view.bounds, view.crop]);
    const svg = shape("svg", { class: "cc-drawing", viewBox: all.join(" ") });
    if (`${view.bounds}` !== `${image}`) svg.append(rectangle("cc-bounds", view.bounds));
    svg.append(rectangle("cc-image", image));
    if (address) svg.append(shape("image", { ...placed(image), href: address }));
    if (view.mask) {
        svg.append(shape("path", { class: "cc-outside", d: outline(all) + outline(view.crop) }));
        if (view.context) svg.append(rectangle("cc-context", view.context));
        if (view.changing) svg.append(rectangle("cc-changing", view.changing));
        svg.append(rectangle("cc-mask", view.mask));
    }
    svg.append(rectangle("cc-crop cc-halo", view.crop), rectangle("cc-crop", view.crop));
    return svg;
}

/**
 * What a drawing shows, in words: "256 x 256 of 640 x 480 → 1024 x 1024".
 *
 * @param {CropView} view
 * @param {import("./crop_words.js").Words} words
 */
export function caption(view, words) {
    const [, , width, height] = view.crop;
    const crop = sized([width, height]);
    const steps = [filled(words.part, { crop, image: sized(view.image) })];
    if (sized(view.size) !== crop) steps.push(sized(view.size));
    if (view.model && sized(view.model) !== sized(view.size)) steps.push(sized(view.model));
    const sizes = steps.join(" → ");
    return view.mask ? sizes : filled(words.unmasked, { sizes });
}

/**
 * The smallest box that holds all of some.
 *
 * @param {Box[]} boxes
 * @returns {Box}
 */
export function around(boxes) {
    const left = Math.min(...boxes.map(([x]) => x));
    const top = Math.min(...boxes.map(([, y]) => y));
    const right = Math.max(...boxes.map(([x, , width]) => x + width));
    const bottom = Math.max(...boxes.map(([, y, , height]) => y + height));
    return [left, top, right - left, bottom - top];
}

/** @param {Size} size */
function sized([width, height]) {
    return `${width} x ${height}`;
}

/** @param {Box} box */
function outline([x, y, width, height]) {
    return `M${x} ${y}h${width}v${height}h${-width}z`;
}

/** @param {Box} box */
function placed([x, y, width, height]) {
    return { x: `${x}`, y: `${y}`, width: `${width}`, height: `${height}` };
}

/**
 * @param {string} name
 * @param {Box} box
 */
function rectangle(name, box) {
    return shape("rect", { class: name, ...placed(box) });
}
