/** Commands: what can be done with the selected nodes. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { placeBehind, readBlueprint } from "./lib/blueprints.js";

const REMOVE = "CleanPlate.RemoveObject";
const LABEL = "Remove this object with CleanPlate";
const METHOD = "CleanPlate.Remove.Method";
const PATCHES = "Remove Object (CleanPlate)";
const LAMA = "Remove Object with LaMa (CleanPlate)";
const COMPARER = "CompareImages";

/** @type {Record<string, { commands?: Record<string, { label?: string }> }>} */
let texts = {};

app.registerExtension({
    name: "CleanPlate.Commands",
    settings: [
        {
            id: METHOD,
            name: "How to remove objects",
            category: ["CleanPlate", "Remove", "Method"],
            type: "combo",
            options: [
                { text: "LaMa where a model is installed", value: "best" },
                { text: "Always without a model", value: "patches" },
            ],
            tooltip: `What "${LABEL}" puts behind an image.`,
            defaultValue: "best",
        },
    ],
    commands: [{ id: REMOVE, label: LABEL, icon: "pi pi-eraser", function: removeObject }],
    async init() {
        texts = await app.api.getCustomNodesI18n();
    },
    getSelectionToolboxCommands(item) {
        return isPicture(item) ? [REMOVE] : [];
    },
    getNodeMenuItems(node) {
        return isPicture(node)
            ? [{ content: label(), callback: () => void insertBehind(node) }]
            : [];
    },
});

/** The command's name in the user's language; ComfyUI translates it only in its own lists. */
function label() {
    const language = app.extensionManager.setting.get("Comfy.Locale");
    return texts[language]?.commands?.[REMOVE.replace(".", "_")]?.label ?? LABEL;
}

async function removeObject() {
    const node = [...app.canvas.selectedItems].find(isPicture);
    if (node) return insertBehind(node);
    app.extensionManager.toast.add({
        severity: "info",
        summary: label(),
        detail: "Select a node with an image and a mask first, such as Load Image.",
        life: 6000,
    });
}

/**
 * Whether something on the canvas gives an image with its mask.
 *
 * @param {unknown} item
 * @returns {item is ComfyNode}
 */
function isPicture(item) {
    const outputs = /** @type {Partial<ComfyNode>} */ (item).outputs ?? [];
    return ["IMAGE", "MASK"].every((type) => outputs.some((output) => output.type === type));
}

/**
 * Puts the blueprint that removes behind a node, and a comparer behind that, as one change.
 *
 * @param {ComfyNode} node
 */
async function insertBehind(node) {
    const { canvas } = app;
    const { nodes, definitions } = await readBlueprint(getJson, await blueprint());
    canvas.emitBeforeChange();
    try {
        const items = { nodes, subgraphs: definitions.subgraphs };
        const [remover] = [...(canvas._deserializeItems(items, {})?.nodes.values() ?? [])];
        const comparer = LiteGraph.createNode(COMPARER);
        if (!remover || !comparer) throw new Error(`${LABEL}: its nodes are not there.`);
        canvas.graph.add(comparer);
        put(remover, node, [comparer]);
        put(comparer, remover, []);
        wire(node, "IMAGE", remover, "image");
        wire(node, "MASK", remover, "mask");
        wire(node, "IMAGE", comparer, "before");
        wire(remover, "IMAGE", comparer, "after");
        wire(remover, "MASK", comparer, "mask");
        canvas.selectItems([remover]);
    } finally {
        canvas.emitAfterChange();
    }
    canvas.setDirty(true, true);
}

async function blueprint() {
    if (app.extensionManager.setting.get(METHOD) === "patches") return PATCHES;
    const { LoadRemovalModel } = await getJson("/object_info/LoadRemovalModel");
    const [type, options] = LoadRemovalModel.input.required.model_name;
    const files = type === "COMBO" ? options.options : type;
    return files.length > 0 ? LAMA : PATCHES;
}

/** @param {string} route */
async function getJson(route) {
    return (await api.fetchApi(route)).json();
}

/**
 * @param {ComfyNode} node
 * @param {ComfyNode} behind
 * @param {ComfyNode[]} without - nodes that have no place yet
 */
function put(node, behind, without) {
    const others = app.canvas.graph.nodes.filter(
        (other) => other !== node && other !== behind && !without.includes(other),
    );
    const boxes = others.map((other) => other.boundingRect);
    node.pos = placeBehind([...behind.pos, ...behind.size], node.size, boxes);
}

/**
 * Connects the first output of a type with an input.
 *
 * @param {ComfyNode} from
 * @param {string} type
 * @param {ComfyNode} to
 * @param {string} input
 */
function wire(from, type, to, input) {
    const output = from.outputs.findIndex((slot) => slot.type === type);
    from.connect(
        output,
        to,
        to.inputs.findIndex(({ name }) => name === input),
    );
}
