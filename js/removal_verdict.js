/** RemovalCheck on the canvas: whether an object came back. */

import { app } from "../../scripts/app.js";
import { outputView } from "./lib/output_view.js";
import { makeBadge } from "./lib/verdict_badge.js";

app.registerExtension(
    outputView(app, {
        name: "CleanPlate.RemovalVerdict",
        kind: "RemovalCheck",
        key: "cleanplate_check",
        style: new URL("./removal_verdict.css", import.meta.url),
        minHeight: 62,
        make: () => makeBadge(app.extensionManager.setting.get("Comfy.Locale")),
    }),
);
