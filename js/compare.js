/** CompareImages on the canvas: a slider between two pictures. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { passOn } from "./lib/canvas_events.js";
import { wordsFor } from "./lib/compare_words.js";
import { Comparer } from "./lib/comparer.js";
import { useStyleSheet } from "./lib/dom.js";
import { addView, locatorOf } from "./lib/dom_widget.js";
import { recall, remember } from "./lib/last_runs.js";
import { pairsOf, routeOf } from "./lib/pairs.js";

const NODE = "CompareImages";
const MODE = "CleanPlate.Compare.Mode";
const LEAST_HEIGHT = 200;
/** @type {[width: number, height: number]} */
const FIRST_SIZE = [420, 480];

/** @type {Map<ComfyNode, Comparer>} */
const comparers = new Map();
/** Nodes that were asked for already: what they show since is up to ComfyUI. */
const asked = new Set();

app.registerExtension({
    name: "CleanPlate.Compare",
    settings: [
        {
            id: MODE,
            name: "How to compare pictures",
            category: ["CleanPlate", "Compare", "Mode"],
            type: "combo",
            options: [
                { text: "The slider follows the pointer", value: "slide" },
                { text: "Press to see before", value: "click" },
            ],
            defaultValue: "slide",
            onChange: (mode) => comparers.forEach((comparer) => setMode(comparer, mode)),
        },
    ],
    setup() {
        useStyleSheet(new URL("./compare.css", import.meta.url));
    },
    nodeCreated(node) {
        if (node.comfyClass === NODE) addComparer(node);
    },
    loadedGraphNode(node) {
        if (comparers.has(node)) void restore(node);
    },
    onNodeOutputsUpdated(outputs) {
        for (const node of comparers.keys()) show(node, outputs[locatorOf(node)]);
    },
});

/** @param {ComfyNode} node */
function addComparer(node) {
    const words = wordsFor(app.extensionManager.setting.get("Comfy.Locale"));
    const comparer = new Comparer((file) => api.apiURL(routeOf(file)), words);
    comparers.set(node, comparer);
    setMode(comparer, app.extensionManager.setting.get(MODE));
    addView(node, "comparison", comparer.element, { minHeight: LEAST_HEIGHT });
    node.setSize([Math.max(node.size[0], FIRST_SIZE[0]), Math.max(node.size[1], FIRST_SIZE[1])]);
    forwardWheel(comparer.element);

    const { onExecuted, onRemoved } = node;
    node.onExecuted = function (output) {
        onExecuted?.call(this, output);
        show(node, output);
    };
    node.onRemoved = function () {
        onRemoved?.call(this);
        comparers.delete(node);
    };
}

/**
 * @param {Comparer} comparer
 * @param {unknown} mode
 */
function setMode(comparer, mode) {
    comparer.mode = mode === "click" ? "click" : "slide";
}

/**
 * On the classic canvas, an element keeps the wheel and the middle button from the graph.
 *
 * @param {HTMLElement} element
 */
function forwardWheel(element) {
    const onCanvas = () => !element.closest("[data-node-id]");
    element.addEventListener("wheel", (event) => {
        if (onCanvas()) passOn(event, app.canvas.canvas);
    });
    element.addEventListener("pointerdown", (event) => {
        if (event.button === 1 && onCanvas()) passOn(event, app.canvas.canvas);
    });
}

/**
 * @param {ComfyNode} node
 * @param {NodeOutput | undefined} output
 */
function show(node, output) {
    const pairs = pairsOf(output);
    if (pairs.length === 0) return;
    comparers.get(node)?.show(pairs);
    const [run, id] = /** @type {string[]} */ (output?.run ?? []);
    if (run && id) remember(localStorage, keyOf(node), { run, node: id });
}

/**
 * Fills a node of a graph that has been opened.
 *
 * @param {ComfyNode} node
 */
async function restore(node) {
    const shown = app.nodeOutputs[locatorOf(node)];
    if (shown) return show(node, shown);
    // After a reload of the page only the server knows. It does not forget before it ends, and
    // then neither the run nor its pictures are left.
    const key = keyOf(node);
    if (asked.has(key)) return;
    asked.add(key);
    const last = recall(localStorage, key);
    if (!last) return;
    const answer = await api.fetchApi(`/history/${last.run}`);
    if (!answer.ok) return;
    const entry = (await answer.json())[last.run];
    if (!app.nodeOutputs[locatorOf(node)]) show(node, entry?.outputs?.[last.node]);
}

/** @param {ComfyNode} node */
function keyOf(node) {
    return `${node.graph?.rootGraph.id} ${locatorOf(node)}`;
}
