/**
 * Events over a piece of HTML that are meant for the graph below it.
 *
 * In Nodes 2.0 they reach it by themselves; on the classic canvas they have to be passed on.
 */

/**
 * Passes an event on to the graph, which gets a copy.
 *
 * @param {WheelEvent | PointerEvent} event
 * @param {HTMLCanvasElement} canvas - of the graph
 */
export function passOn(event, canvas) {
    event.preventDefault();
    event.stopPropagation();
    const Kind = event instanceof WheelEvent ? WheelEvent : PointerEvent;
    canvas.dispatchEvent(new Kind(event.type, event));
}
