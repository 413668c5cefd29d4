/** DefectDetect on the canvas: what was found, and where. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { DefectPanel } from "./lib/defect_panel.js";
import { wordsFor } from "./lib/defect_words.js";
import { outputView } from "./lib/output_view.js";
import { routeOf } from "./lib/pairs.js";

app.registerExtension(
    outputView(app, {
        name: "CleanPlate.DefectReport",
        kind: "DefectDetect",
        key: "cleanplate_defects",
        style: new URL("./defect_report.css", import.meta.url),
        minHeight: 340,
        make: () => {
            const words = wordsFor(app.extensionManager.setting.get("Comfy.Locale"));
            const panel = new DefectPanel((file) => api.apiURL(routeOf(file)), words);
            return { element: panel.element, show: (pictures) => panel.show(pictures) };
        },
    }),
);
