/** In the user's language: what the frontend would leave in English of this pack's nodes. */

import { app } from "../../scripts/app.js";
import { labelOptions, translateTooltips } from "./lib/labels.js";

/** @type {Awaited<ReturnType<ComfyApi["getCustomNodesI18n"]>>} */
let texts = {};

app.registerExtension({
    name: "CleanPlate.OptionLabels",
    async init() {
        texts = await app.api.getCustomNodesI18n();
    },
    beforeRegisterNodeDef(_, { name, input }) {
        const ours = textsOf(name);
        if (ours) translateTooltips(input, ours);
    },
    nodeCreated(node) {
        const ours = textsOf(node.comfyClass);
        if (ours) labelOptions(node.widgets ?? [], ours);
    },
});

/**
 * The texts of a node's inputs; none in English, which is what the node says by itself.
 *
 * @param {string} node
 */
function textsOf(node) {
    const language = app.extensionManager.setting.get("Comfy.Locale");
    return language === "en" ? undefined : texts[language]?.["nodeDefs"]?.[node]?.inputs;
}
