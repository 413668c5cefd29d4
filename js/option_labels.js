/** The options of this pack's nodes in the user's language. */

import { app } from "../../scripts/app.js";
import { labelOptions } from "./lib/labels.js";

/** @type {Awaited<ReturnType<ComfyApi["getCustomNodesI18n"]>>} */
let texts = {};

app.registerExtension({
    name: "CleanPlate.OptionLabels",
    async init() {
        texts = await app.api.getCustomNodesI18n();
    },
    nodeCreated(node) {
        const language = app.extensionManager.setting.get("Comfy.Locale");
        if (language === "en") return; // there, an option is its own label
        const inputs = texts[language]?.["nodeDefs"]?.[node.comfyClass]?.inputs;
        if (inputs) labelOptions(node.widgets ?? [], inputs);
    },
});
