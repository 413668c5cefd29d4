/**
 * What CompareImages sends: pictures in pairs, and how to lay two of them over each other.
 *
 * @typedef {import("./view.js").Size} Size
 * @typedef {Readonly<{
 *     before: FileReference,
 *     after: FileReference,
 *     outline: string,
 *     outside: number | null,
 * }>} Pair - `outline` is the path of an SVG in parts of `before`, empty without a mask; `outside`
 *     is how much the pictures differ beside the mask, in levels of 255, if that can be told
 * @typedef {Readonly<{ x: number, y: number, width: number, height: number }>} Box
 */

/**
 * The pairs of a node's output; none if it has no such output.
 *
 * @param {NodeOutput | undefined} output
 * @returns {Pair[]}
 */
export function pairsOf(output) {
    const before = /** @type {FileReference[]} */ (output?.before ?? []);
    const after = /** @type {FileReference[]} */ (output?.after ?? []);
    const outlines = /** @type {string[]} */ (output?.outline ?? []);
    const changes = /** @type {number[]} */ (output?.outside ?? []);
    return after.flatMap((picture, i) => {
        const first = before[i];
        const change = changes[i] ?? -1;
        const outline = outlines[i] ?? "";
        const outside = change < 0 ? null : change;
        return first ? [{ before: first, after: picture, outline, outside }] : [];
    });
}

/**
 * Where ComfyUI serves a file, as it is: without `preview` it is not made smaller.
 *
 * @param {FileReference} file
 */
export function routeOf({ filename, subfolder, type }) {
    return `/view?${new URLSearchParams({ filename, subfolder, type })}`;
}

/**
 * The frame in which two pictures are shown together: the larger one.
 *
 * @param {Size} one
 * @param {Size} other
 * @returns {Size}
 */
export function frameOf(one, other) {
    return one.width * one.height >= other.width * other.height ? one : other;
}

/**
 * Where a picture lies in a frame: in the middle, as large as fits.
 *
 * @param {Size} picture
 * @param {Size} frame
 * @returns {Box}
 */
export function place(picture, frame) {
    const scale = Math.min(frame.width / picture.width, frame.height / picture.height);
    const width = picture.width * scale;
    const height = picture.height * scale;
    return { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height };
}
