/** CropAroundMask on the canvas: what will be cropped, before a run and after it. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { passOn } from "./lib/canvas_events.js";
import { CropPanel } from "./lib/crop_panel.js";
import { plan, runOf } from "./lib/crop_request.js";
import { wordsFor } from "./lib/crop_words.js";
import { useStyleSheet } from "./lib/dom.js";
import { addView, locatorOf } from "./lib/dom_widget.js";
import { routeOf } from "./lib/pairs.js";

/**
 * @typedef {import("./lib/crop_drawing.js").CropView} CropView
 *
 * @typedef {object} State
 * @property {CropPanel} panel
 * @property {unknown} output - what the last run has told, as ComfyUI's page keeps it
 * @property {import("./lib/crop_request.js").Run | null} run - the same
 * @property {string} shown - what the panel was last told to show
 */

const NODE = "CropAroundMask";
const KEY = "cleanplate_crop";
const LEAST_HEIGHT = 180;
/**
 * Milliseconds between looks at the graph. Pictures, masks, wires, widgets and undo change it in
 * many ways, and ComfyUI's page has no one event for all of them.
 */
const PERIOD = 250;

/** @type {Map<ComfyNode, State>} */
const states = new Map();

app.registerExtension({
    name: "CleanPlate.CropPreview",
    setup() {
        useStyleSheet(new URL("./crop_preview.css", import.meta.url));
        setInterval(() => states.forEach((state, node) => update(node, state)), PERIOD);
    },
    nodeCreated(node) {
        if (node.comfyClass === NODE) addPanel(node);
    },
});

/** @param {ComfyNode} node */
function addPanel(node) {
    const words = wordsFor(app.extensionManager.setting.get("Comfy.Locale"));
    const panel = new CropPanel((file) => api.apiURL(routeOf(file)), words);
    states.set(node, { panel, output: null, run: null, shown: "" });
    addView(node, "crop", panel.element, { minHeight: LEAST_HEIGHT });
    panel.element.addEventListener("wheel", (event) => {
        if (!panel.element.closest("[data-node-id]")) passOn(event, app.canvas.canvas);
    });
    const { onRemoved } = node;
    node.onRemoved = function () {
        onRemoved?.call(this);
        states.delete(node);
    };
}

/**
 * @param {ComfyNode} node
 * @param {State} state
 */
function update(node, state) {
    if (!node.graph || !state.panel.element.isConnected) return;
    const output = /** @type {CropView[] | undefined} */ (app.nodeOutputs[locatorOf(node)]?.[KEY]);
    if (output?.length && output !== state.output) {
        state.output = output;
        state.run = runOf(node, output);
        state.shown = "";
    }
    const wanted = plan(node, state.run);
    const text = JSON.stringify(wanted);
    if (text === state.shown) return;
    state.shown = text;
    if ("say" in wanted) state.panel.say(state.panel.words[wanted.say]);
    else if ("views" in wanted) state.panel.show(wanted.views);
    else void ask(wanted.ask, wanted.pictures, state);
}

/**
 * @param {object} question
 * @param {(FileReference | null)[]} pictures
 * @param {State} state
 */
async function ask(question, pictures, state) {
    const asked = state.shown;
    const response = await api.fetchApi("/cleanplate/crop", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(question),
    });
    const answer = await response.json();
    if (state.shown !== asked) return; // something has changed meanwhile
    if (answer.error) return state.panel.say(answer.error);
    /** @type {CropView[]} */
    const views = answer.crops;
    state.panel.show(
        views.map((view) => ({ ...view, picture: view.picture ?? pictures[view.number] ?? null })),
    );
}
