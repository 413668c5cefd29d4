/**
 * What to show on a CropAroundMask node, as far as the graph can tell.
 *
 * @typedef {import("./crop_drawing.js").CropView} CropView
 * @typedef {{ views: CropView[], upstream: string, found: string }} Run - what the last run told,
 *     and what it came from
 * @typedef {{ ask: object, pictures: (FileReference | null)[] } | { views: CropView[] }
 *     | { say: "connect" | "later" | "again" }} Plan - a question for the server, with pictures for
 *     its answer; crops to show; or why there are none
 */

import { fileAt, follower, isConnected, upstream, valuesOf } from "./crop_sources.js";

const IMAGE_OUTPUT = 1;
/** Widgets that decide what of the mask counts. */
const FINDING = ["threshold", "invert_mask", "one_crop_per"];
const EXTENDING = ["extend_left", "extend_top", "extend_right", "extend_bottom"];

/**
 * What a run has told, kept with what it depends on.
 *
 * @param {ComfyNode} node
 * @param {CropView[]} views
 * @returns {Run}
 */
export function runOf(node, views) {
    return { views, upstream: upstream(node), found: findingOf(valuesOf(node)) };
}

/**
 * Decides what to show.
 *
 * @param {ComfyNode} node
 * @param {Run | null} run - the last one
 * @returns {Plan}
 */
export function plan(node, run) {
    if (!isConnected(node, "image") || !isConnected(node, "mask")) return { say: "connect" };
    const widgets = valuesOf(node);
    const next = follower(node, IMAGE_OUTPUT, "UpscaleToModelRes");
    const common = { widgets, fit: next && valuesOf(next) };
    const files = widgets && filesOf(node);
    if (files) return { ask: { ...files, ...common }, pictures: [] };
    if (!run) return { say: "later" };
    const same = run.upstream === upstream(node) && run.found === findingOf(widgets);
    if (!same) return { say: "again" };
    if (!widgets || widgets.one_crop_per === "object") return { views: run.views };
    const known = {
        size: run.views[0]?.image,
        masks: run.views.map((view) => view.mask),
        contexts: run.views.map((view) => view.context),
    };
    return { ask: { ...known, ...common }, pictures: run.views.map((view) => view.picture) };
}

/**
 * The files that a node's inputs are loaded from; null unless all are.
 *
 * @param {ComfyNode} node
 */
function filesOf(node) {
    const image = fileAt(node, "image");
    const mask = fileAt(node, "mask");
    if (!image || image.channel !== undefined || !mask) return null;
    if (!isConnected(node, "context_mask")) return { image, mask };
    const context_mask = fileAt(node, "context_mask");
    return context_mask && { image, mask, context_mask };
}

/** @param {Record<string, unknown> | null} widgets */
function findingOf(widgets) {
    return JSON.stringify([...FINDING, ...EXTENDING].map((name) => widgets?.[name]));
}
