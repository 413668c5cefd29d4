/**
 * Widgets that only show something: pieces of HTML below a node's inputs, on the classic canvas
 * and in Nodes 2.0.
 */

/**
 * Puts an element into a node. Neither the workflow nor the prompt gets to know of it.
 *
 * @param {ComfyNode} node
 * @param {string} name
 * @param {HTMLElement} element
 * @param {{ minHeight: number }} size - in pixels
 */
export function addView(node, name, element, { minHeight }) {
    const widget = node.addDOMWidget(name, "cleanplate_view", element, {
        serialize: false, // not into the prompt
        hideOnZoom: false,
        hideInPanel: true, // it cannot be in two places
        margin: 4,
        getMinHeight: () => minHeight,
    });
    widget.serialize = false; // not into the workflow
}

/**
 * Where `app.nodeOutputs` keeps what a node has shown.
 *
 * @param {ComfyNode} node
 */
export function locatorOf(node) {
    const graph = node.graph;
    return graph && !graph.isRootGraph ? `${graph.id}:${node.id}` : `${node.id}`;
}
