/** The model family that a new node starts with. */

import { app } from "../../scripts/app.js";

const NODE = "UpscaleToModelRes";
const WIDGET = "model_family";
const FAMILY = "CleanPlate.Upscale.Family";

app.registerExtension({
    name: "CleanPlate.ModelFamily",
    settings: [
        {
            id: FAMILY,
            name: "Model family of new nodes",
            category: ["CleanPlate", "Upscale", "Family"],
            type: "combo",
            options: ["Flux", "SDXL", "SD 1.5"].map((family) => ({ text: family, value: family })),
            tooltip: "The models that you refine with. Nodes of a workflow keep theirs.",
            defaultValue: "Flux",
        },
    ],
    nodeCreated(node) {
        if (node.comfyClass !== NODE) return;
        const widget = node.widgets?.find(({ name }) => name === WIDGET);
        if (widget) widget.value = app.extensionManager.setting.get(FAMILY);
    },
});
