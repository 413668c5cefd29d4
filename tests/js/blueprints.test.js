import assert from "node:assert/strict";
import { test } from "node:test";

import { placeBehind, readBlueprint } from "../../js/lib/blueprints.js";

const NODE = [100, 50, 200, 300];
const SIZE = [150, 100];
const BEHIND = [360, 50];

test("what comes behind a node lies at its height", () => {
    assert.deepEqual(placeBehind(NODE, SIZE, []), BEHIND);
    const elsewhere = [
        [0, 0, 340, 900],
        [520, 0, 100, 900],
        [360, 160, 100, 100],
    ];
    assert.deepEqual(placeBehind(NODE, SIZE, elsewhere), BEHIND);
});

test("it goes below what lies there", () => {
    assert.deepEqual(placeBehind(NODE, SIZE, [[400, 0, 100, 100]]), [360, 160]);
    const stack = [
        [380, 300, 50, 50],
        [380, 100, 50, 80],
    ];
    assert.deepEqual(placeBehind(NODE, SIZE, stack), [360, 410]);
});

test("a gap that is large enough is used", () => {
    const stack = [
        [380, 40, 50, 60],
        [380, 300, 50, 50],
    ];
    assert.deepEqual(placeBehind(NODE, SIZE, stack), [360, 160]);
});

test("blueprints are found by name", async () => {
    const files = {
        "/global_subgraphs": { a1: { name: "Other" }, b2: { name: "Ours" } },
        "/global_subgraphs/b2": { data: '{"nodes":[]}' },
    };
    const get = async (route) => files[route];
    assert.deepEqual(await readBlueprint(get, "Ours"), { nodes: [] });
    await assert.rejects(readBlueprint(get, "Gone"), /no blueprint Gone/);
});
