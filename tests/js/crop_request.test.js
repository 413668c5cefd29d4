import assert from "node:assert/strict";
import { test } from "node:test";

import { caption } from "../../js/lib/crop_drawing.js";
import { plan, runOf } from "../../js/lib/crop_request.js";
import { wordsFor } from "../../js/lib/crop_words.js";

const WIDGETS = { context_factor: 1.5, threshold: 0.5, one_crop_per: "image" };
const VIEW = {
    number: 0,
    image: [400, 300],
    mask: [10, 20, 30, 40],
    context: null,
    picture: { filename: "shown.jpg", subfolder: "", type: "temp" },
};

let ids = 0;

/** A node as ComfyUI's page has it, as far as it is looked at. */
function node(comfyClass, widgets, inputs = {}, mode = 0) {
    const wires = Object.values(inputs);
    return {
        id: ++ids,
        comfyClass,
        mode,
        widgets: Object.entries(widgets).map(([name, value]) => ({ name, value })),
        inputs: Object.entries(inputs).map(([name, wire]) => ({ name, widget: wire?.widget })),
        isInputConnected: (slot) => Boolean(wires[slot]),
        getInputLink: (slot) => (wires[slot] ? { origin_slot: wires[slot].slot } : null),
        getInputNode: (slot) => wires[slot]?.from ?? null,
        getOutputNodes: () => null,
    };
}

function load(widgets, kind = "LoadImage", mode = 0) {
    return node(kind, { upload: "image", ...widgets }, {}, mode);
}

function crop(image, mask, context_mask = null, widgets = WIDGETS) {
    return node("CropAroundMask", widgets, { image, mask, context_mask });
}

const photo = { image: "photo.png [input]" };
const wire = (from, slot = 0) => ({ from, slot });

test("a picture and its mask are asked for by their file", () => {
    const file = load(photo);
    assert.deepEqual(plan(crop(wire(file), wire(file, 1)), null), {
        ask: {
            image: { file: photo.image },
            mask: { file: photo.image },
            widgets: WIDGETS,
            fit: null,
        },
        pictures: [],
    });
});

test("masks of other files and further context", () => {
    const mask = load({ image: "mask.png", channel: "red" }, "LoadImageMask");
    const more = load({ image: "more.png" }, "LoadImageOutput");
    const asked = plan(crop(wire(load(photo)), wire(mask), wire(more, 1)), null).ask;
    assert.deepEqual(asked.mask, { file: "mask.png", channel: "red" });
    assert.deepEqual(asked.context_mask, { file: "more.png [output]" });
});

test("what other nodes make is not known before a run", () => {
    const file = load(photo);
    const made = node("LamaRemove", {}, { image: wire(file), mask: wire(file, 1) });
    for (const [image, mask] of [
        [wire(made), wire(made, 1)],
        [wire(file), wire(made, 1)],
        [wire(file), wire(file)], // an image is no mask
        [wire(load(photo, "LoadImage", 4)), wire(file, 1)],
    ])
        assert.equal(plan(crop(image, mask), null).say, "later");
    assert.equal(plan(crop(wire(file), null), null).say, "connect");
});

test("after a run its masks are known until something before the node changes", () => {
    const file = load(photo);
    const made = node("LamaRemove", { grow: 8 }, { image: wire(file), mask: wire(file, 1) });
    const node_ = crop(wire(made), wire(made, 1));
    const run = runOf(node_, [VIEW]);
    const widget = (name) => node_.widgets.find((widget) => widget.name === name);
    widget("context_factor").value = 3;
    const wanted = plan(node_, run);
    assert.deepEqual(wanted.ask.masks, [VIEW.mask]);
    assert.deepEqual(wanted.ask.size, VIEW.image);
    assert.deepEqual(wanted.ask.widgets, { ...WIDGETS, context_factor: 3 });
    assert.deepEqual(wanted.pictures, [VIEW.picture]);

    widget("threshold").value = 0.2;
    assert.equal(plan(node_, run).say, "again");
    widget("threshold").value = 0.5;
    assert.ok(plan(node_, run).ask);
    made.widgets[0].value = 12;
    assert.equal(plan(node_, run).say, "again");
});

test("a caption names the sizes on the way to the model", () => {
    const view = { ...VIEW, crop: [0, 0, 200, 100], size: [200, 100] };
    const english = wordsFor("en");
    assert.equal(caption(view, english), "200 x 100 of 400 x 300");
    const fitted = { ...view, size: [400, 200], model: [1424, 704] };
    assert.equal(caption(fitted, english), "200 x 100 of 400 x 300 → 400 x 200 → 1424 x 704");
    assert.match(caption({ ...view, mask: null }, english), /^Nothing is masked/);
    assert.equal(caption(view, wordsFor("ko")), "400 x 300 중 200 x 100");
    const gaps = (words) =>
        Object.values(words).map((text) => (text.match(/\{\w+\}/g) ?? []).sort());
    for (const language of ["ko", "ja", "zh"])
        assert.deepEqual(gaps(wordsFor(language)), gaps(english));
});

test("what cannot be planned from boxes is shown as the run told it", () => {
    const made = node("LamaRemove", {});
    const each = crop(wire(made), wire(made, 1), null, { ...WIDGETS, one_crop_per: "object" });
    assert.deepEqual(plan(each, runOf(each, [VIEW])), { views: [VIEW] });
    const linked = crop(wire(made), wire(made, 1));
    linked.inputs[2] = { name: "grow", widget: { name: "grow" } };
    linked.isInputConnected = () => true;
    assert.deepEqual(plan(linked, runOf(linked, [VIEW])), { views: [VIEW] });
});
