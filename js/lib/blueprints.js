/**
 * The pack's blueprints, and how they come onto the canvas.
 *
 * @typedef {[x: number, y: number, width: number, height: number]} Box
 * @typedef {{ nodes: object[], definitions: { subgraphs: object[] } }} Blueprint
 */

const GAP = 60;

/**
 * Reads a blueprint from the server, which keeps them by numbers.
 *
 * @param {(route: string) => Promise<any>} get - a JSON document
 * @param {string} name
 * @returns {Promise<Blueprint>}
 */
export async function readBlueprint(get, name) {
    const all = Object.entries(await get("/global_subgraphs"));
    const found = all.find(([, entry]) => entry.name === name);
    if (!found) throw new Error(`There is no blueprint ${name}.`);
    return JSON.parse((await get(`/global_subgraphs/${found[0]}`)).data);
}

/**
 * A place to the right of a node where nothing lies, as near to its height as possible.
 *
 * @param {Box} node
 * @param {[width: number, height: number]} size - of what shall go there
 * @param {Box[]} others
 * @returns {[x: number, y: number]}
 */
export function placeBehind([x, y, width], size, others) {
    const left = x + width + GAP;
    const inWay = others
        .filter((box) => box[0] < left + size[0] && left < box[0] + box[2])
        .sort((a, b) => a[1] - b[1]);
    let top = y;
    for (const [, start, , height] of inWay)
        if (start < top + size[1] && top < start + height) top = start + height + GAP;
    return [left, top];
}
