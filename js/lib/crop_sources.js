/**
 * What a graph tells of a node's inputs before anything has run.
 *
 * @typedef {{ file: string, channel?: string }} Source - what LoadImage or LoadImageMask loads
 */

/**
 * The file that an input's picture or mask is loaded from; null when it comes from elsewhere.
 *
 * @param {ComfyNode} node
 * @param {string} name - of the input
 * @returns {Source | null}
 */
export function fileAt(node, name) {
    const from = originAt(node, name);
    if (!from || !runs(from.node.mode)) return null;
    const values = valuesOf(from.node);
    if (!values || typeof values.image !== "string") return null;
    switch (from.node.comfyClass) {
        case "LoadImage":
        case "LoadImageOutput":
            if (from.slot !== (name === "image" ? 0 : 1)) return null;
            return { file: inFolder(values.image, from.node.comfyClass) };
        case "LoadImageMask":
            return { file: values.image, channel: `${values.channel}` };
        default:
            return null;
    }
}

/**
 * LoadImageOutput's files lie in the output folder, also where their names do not say so.
 *
 * @param {string} name
 * @param {string} kind
 */
function inFolder(name, kind) {
    return kind === "LoadImage" || name.endsWith("]") ? name : `${name} [output]`;
}

/**
 * The values of a node's widgets by name; null when one of them comes from another node.
 *
 * @param {ComfyNode} node
 * @returns {Record<string, unknown> | null}
 */
export function valuesOf(node) {
    if (node.inputs.some((input, slot) => input.widget && node.isInputConnected(slot))) return null;
    const own = (node.widgets ?? []).filter((widget) => widget.serialize !== false);
    return Object.fromEntries(own.map((widget) => [widget.name, widget.value]));
}

/**
 * The first node of a kind that one of a node's outputs goes to.
 *
 * @param {ComfyNode} node
 * @param {number} slot
 * @param {string} kind
 * @returns {ComfyNode | null}
 */
export function follower(node, slot, kind) {
    const next = node.getOutputNodes(slot) ?? [];
    return next.find(({ comfyClass, mode }) => comfyClass === kind && runs(mode)) ?? null;
}

/**
 * All that a node's result depends on, but for its own widgets, as a text to compare.
 *
 * @param {ComfyNode} node
 */
export function upstream(node) {
    /** @type {Map<unknown, unknown[]>} */
    const seen = new Map();
    const visit = (/** @type {ComfyNode} */ at) => {
        if (seen.has(at.id)) return;
        /** @type {unknown[]} */
        const told = [at.id, at.comfyClass, at.mode];
        seen.set(at.id, told);
        if (at !== node) told.push((at.widgets ?? []).map(({ name, value }) => [name, value]));
        for (const { name } of at.inputs) {
            const from = originAt(at, name);
            if (!from) continue;
            told.push([name, from.node.id, from.slot]);
            visit(from.node);
        }
    };
    visit(node);
    return JSON.stringify([...seen.values()]);
}

/**
 * Whether something is connected to an input.
 *
 * @param {ComfyNode} node
 * @param {string} name
 */
export function isConnected(node, name) {
    return node.inputs.some((input, slot) => input.name === name && node.isInputConnected(slot));
}

/**
 * @param {ComfyNode} node
 * @param {string} name
 * @returns {{ node: ComfyNode, slot: number } | null}
 */
function originAt(node, name) {
    const slot = node.inputs.findIndex((input) => input.name === name);
    const link = slot < 0 ? null : node.getInputLink(slot);
    const from = link && node.getInputNode(slot);
    return from ? { node: from, slot: link.origin_slot } : null;
}

/**
 * Whether a node of that mode takes part in a run, and is not muted or bypassed.
 *
 * @param {number} mode
 */
function runs(mode) {
    return mode !== 2 && mode !== 4;
}
