/**
 * Where a picture lies in the window it is looked at through.
 *
 * A view maps a point p of the picture, in its pixels, to scale * p + (x, y) in the window.
 * Views are never changed, only made anew.
 *
 * @typedef {Readonly<{ width: number, height: number }>} Size
 * @typedef {Readonly<{ x: number, y: number }>} Point
 * @typedef {Readonly<{ scale: number, x: number, y: number }>} View
 */

/** The most screen pixels that one pixel of the picture may take. */
const LARGEST_PIXEL = 32;

/**
 * The view that shows all of a picture, as large as possible, in the middle.
 *
 * @param {Size} picture
 * @param {Size} window
 * @returns {View}
 */
export function fit(picture, window) {
    const scale = Math.min(window.width / picture.width, window.height / picture.height);
    return {
        scale,
        x: (window.width - scale * picture.width) / 2,
        y: (window.height - scale * picture.height) / 2,
    };
}

/**
 * A view that is larger by a factor and keeps what is seen at a point of the window there.
 *
 * @param {View} view
 * @param {number} factor
 * @param {Point} at - in the window
 * @param {Size} picture
 * @param {Size} window
 * @returns {View}
 */
export function zoom(view, factor, at, picture, window) {
    const least = fit(picture, window).scale;
    const most = Math.max(LARGEST_PIXEL, least);
    const scale = Math.min(Math.max(view.scale * factor, least), most);
    const real = scale / view.scale;
    const moved = { scale, x: at.x + (view.x - at.x) * real, y: at.y + (view.y - at.y) * real };
    return keepInside(moved, picture, window);
}

/**
 * A view moved within the window.
 *
 * @param {View} view
 * @param {Point} by
 * @param {Size} picture
 * @param {Size} window
 * @returns {View}
 */
export function pan(view, by, picture, window) {
    return keepInside({ ...view, x: view.x + by.x, y: view.y + by.y }, picture, window);
}

/**
 * Whether a view shows the whole picture.
 *
 * @param {View} view
 * @param {Size} picture
 * @param {Size} window
 */
export function isFit(view, picture, window) {
    return view.scale <= fit(picture, window).scale * 1.0001;
}

/**
 * A view that leaves no gap on one side while the picture reaches beyond the other.
 *
 * @param {View} view
 * @param {Size} picture
 * @param {Size} window
 * @returns {View}
 */
function keepInside({ scale, x, y }, picture, window) {
    return {
        scale,
        x: between(x, window.width - scale * picture.width),
        y: between(y, window.height - scale * picture.height),
    };
}

/**
 * @param {number} offset
 * @param {number} room - what the window has more than the picture; negative: less
 */
function between(offset, room) {
    if (room >= 0) return room / 2;
    return Math.min(0, Math.max(room, offset));
}
