/** Views on nodes that show what a run has told, and nothing before. */

import { useStyleSheet } from "./dom.js";
import { addView, locatorOf } from "./dom_widget.js";

/**
 * An extension that puts a view on all nodes of a kind.
 *
 * @template T
 * @param {ComfyApp} app
 * @param {object} about
 * @param {string} about.name - of the extension
 * @param {string} about.kind - of the nodes
 * @param {string} about.key - of what the run tells, in its `ui`
 * @param {URL} about.style
 * @param {number} about.minHeight - of the view, in pixels
 * @param {() => { element: HTMLElement, show: (told: T[]) => void }} about.make
 * @returns {ComfyExtension}
 */
export function outputView(app, { name, kind, key, style, minHeight, make }) {
    /** @type {Map<ComfyNode, (told: T[]) => void>} */
    const shown = new Map();
    const fill = (/** @type {ComfyNode} */ node, /** @type {NodeOutput | undefined} */ output) => {
        const told = /** @type {T[] | undefined} */ (output?.[key]);
        if (told?.length) shown.get(node)?.(told);
    };
    return {
        name,
        setup: () => useStyleSheet(style),
        nodeCreated(node) {
            if (node.comfyClass !== kind) return;
            const { element, show } = make();
            shown.set(node, show);
            addView(node, key, element, { minHeight });
            const { onExecuted, onRemoved } = node;
            node.onExecuted = function (output) {
                onExecuted?.call(this, output);
                fill(node, output);
            };
            node.onRemoved = function () {
                onRemoved?.call(this);
                shown.delete(node);
            };
        },
        loadedGraphNode(node) {
            if (shown.has(node)) fill(node, app.nodeOutputs[locatorOf(node)]);
        },
        onNodeOutputsUpdated(outputs) {
            for (const node of shown.keys()) fill(node, outputs[locatorOf(node)]);
        },
    };
}
