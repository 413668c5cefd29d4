/**
 * Gestures over an element: hover, drag, tap, and pinch with two fingers.
 *
 * Points are in the element's own pixels, whatever its ancestors' transforms make of them.
 *
 * @typedef {import("./view.js").Point} Point
 * @typedef {{
 *     hover(at: Point): void,
 *     press(): void,
 *     drag(at: Point, by: Point, touch: boolean): void,
 *     pinch(at: Point, by: Point, factor: number): void,
 *     tap(at: Point, touch: boolean): void,
 *     release(): void,
 * }} Gestures
 */

/** How far a pointer may stray and still tap, in pixels. */
const STRAY = 4;

/**
 * Reports the gestures over an element.
 *
 * @param {HTMLElement} element
 * @param {Gestures} gestures
 */
export function watchPointers(element, gestures) {
    /** @type {Map<number, Point>} */
    const down = new Map();
    /** @type {Point} */
    let start = { x: 0, y: 0 };
    let moved = false;

    element.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        element.setPointerCapture(event.pointerId);
        const at = pointOf(event, element);
        down.set(event.pointerId, at);
        moved = down.size > 1;
        start = at;
        if (!moved) gestures.press();
    });

    element.addEventListener("pointermove", (event) => {
        const at = pointOf(event, element);
        const last = down.get(event.pointerId);
        if (!last) {
            if (down.size === 0 && event.buttons === 0) gestures.hover(at);
            return;
        }
        const [other] = [...down].filter(([id]) => id !== event.pointerId);
        if (other) {
            const factor = distance(at, other[1]) / Math.max(1, distance(last, other[1]));
            gestures.pinch(
                middle(at, other[1]),
                minus(middle(at, other[1]), middle(last, other[1])),
                factor,
            );
        } else {
            moved ||= distance(at, start) > STRAY;
            if (!moved) return;
            gestures.drag(at, minus(at, last), event.pointerType === "touch");
        }
        down.set(event.pointerId, at);
    });

    element.addEventListener("pointerup", (event) => {
        if (!down.delete(event.pointerId) || down.size > 0) return;
        if (!moved) gestures.tap(pointOf(event, element), event.pointerType === "touch");
        gestures.release();
    });

    element.addEventListener("pointercancel", (event) => {
        if (down.delete(event.pointerId) && down.size === 0) gestures.release();
    });
}

/**
 * Where an event lies in an element, in the element's own pixels.
 *
 * @param {MouseEvent} event
 * @param {HTMLElement} element
 * @returns {Point}
 */
export function pointOf(event, element) {
    const box = element.getBoundingClientRect();
    return {
        x: ((event.clientX - box.left) / box.width) * element.clientWidth,
        y: ((event.clientY - box.top) / box.height) * element.clientHeight,
    };
}

/**
 * @param {Point} one
 * @param {Point} other
 */
function distance(one, other) {
    return Math.hypot(one.x - other.x, one.y - other.y);
}

/**
 * @param {Point} one
 * @param {Point} other
 */
function middle(one, other) {
    return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}

/**
 * @param {Point} one
 * @param {Point} other
 */
function minus(one, other) {
    return { x: one.x - other.x, y: one.y - other.y };
}
