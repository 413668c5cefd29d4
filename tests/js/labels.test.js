import assert from "node:assert/strict";
import { test } from "node:test";

import { labelOptions, translateTooltips } from "../../js/lib/labels.js";

const TEXTS = {
    family: { options: { "SD 1_5": "SD 1.5 계열", custom: "사용자 지정" } },
    shadow: { options: { on: "그림자 포함", off: "끄기" } },
    grow: {},
};

/**
 * @param {string} name
 * @param {string} type
 */
function labelled(name, type) {
    const widget = { name, type, options: {} };
    labelOptions([widget], TEXTS);
    return /** @type {import("../../js/lib/labels.js").Options} */ (widget.options);
}

test("an option is shown by its label", () => {
    const label = labelled("family", "combo").getOptionLabel;
    assert.equal(label?.("custom"), "사용자 지정");
    assert.equal(label?.("SD 1.5"), "SD 1.5 계열");
});

test("an option without a label is shown as it is, such as a file", () => {
    const label = labelled("family", "combo").getOptionLabel;
    assert.equal(label?.("yunet.onnx"), "yunet.onnx");
    assert.equal(label?.(null), "");
});

test("a switch gets both of its labels", () => {
    assert.deepEqual(labelled("shadow", "toggle"), { on: "그림자 포함", off: "끄기" });
});

test("what has no options is left alone", () => {
    assert.deepEqual(labelled("grow", "number"), {});
    assert.deepEqual(labelled("unknown", "combo"), {});
});

test("inputs behind an option get their tooltips, others keep theirs", () => {
    const factor = { tooltip: "How often." };
    const target = { tooltip: "How large.", options: [{ key: "factor", inputs: {} }] };
    const options = [
        { key: "own" },
        { key: "factor", inputs: { required: { factor: ["FLOAT", factor] } } },
    ];
    translateTooltips(
        { required: { target: ["COMFY_DYNAMICCOMBO_V3", Object.assign(target, { options })] } },
        { target: { tooltip: "크기." }, target_factor: { tooltip: "배율." } },
    );
    assert.equal(factor.tooltip, "배율.");
    assert.equal(target.tooltip, "How large.");
});

test("options of a plain choice have no inputs", () => {
    const mode = { options: ["a", "b"] };
    translateTooltips({ optional: { mode: ["COMBO", mode], image: ["IMAGE"] } }, {});
    assert.deepEqual(mode, { options: ["a", "b"] });
});
