/**
 * Which run has filled a node, kept over a reload of the page.
 *
 * ComfyUI's page forgets what nodes have shown when it is loaded again; the server still knows, by
 * the id of the run. Only ids are kept, and only in the browser.
 *
 * @typedef {Readonly<{ run: string, node: string }>} Run - `node` is its id in the run's outputs
 * @typedef {Pick<Storage, "getItem" | "setItem">} Store
 */

const ITEM = "CleanPlate.LastRuns";
const MOST = 100;

/**
 * Keeps the run that filled a node; the oldest are forgotten.
 *
 * @param {Store} store
 * @param {string} key - which node
 * @param {Run} run
 */
export function remember(store, key, run) {
    const others = all(store).filter(([other]) => other !== key);
    store.setItem(ITEM, JSON.stringify([...others, [key, run.run, run.node]].slice(-MOST)));
}

/**
 * The run that last filled a node.
 *
 * @param {Store} store
 * @param {string} key
 * @returns {Run | null}
 */
export function recall(store, key) {
    const found = all(store).find(([other]) => other === key);
    return found ? { run: found[1], node: found[2] } : null;
}

/**
 * @param {Store} store
 * @returns {[key: string, run: string, node: string][]}
 */
function all(store) {
    return JSON.parse(store.getItem(ITEM) ?? "[]");
}
