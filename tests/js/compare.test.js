import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf } from "../../js/lib/compare_keys.js";
import { wordsFor } from "../../js/lib/compare_words.js";
import { recall, remember } from "../../js/lib/last_runs.js";
import { frameOf, pairsOf, place, routeOf } from "../../js/lib/pairs.js";

const file = (/** @type {string} */ filename) => ({ filename, subfolder: "", type: "temp" });

test("outputs become pairs", () => {
    const output = {
        before: [file("a"), file("a")],
        after: [file("b"), file("c")],
        outline: ["M0 0", ""],
        outside: [0, -1],
    };
    assert.deepEqual(pairsOf(output), [
        { before: file("a"), after: file("b"), outline: "M0 0", outside: 0 },
        { before: file("a"), after: file("c"), outline: "", outside: null },
    ]);
});

test("without a mask there is nothing to outline", () => {
    const [pair] = pairsOf({ before: [file("a")], after: [file("b")], outline: [], outside: [] });
    assert.deepEqual(pair, { before: file("a"), after: file("b"), outline: "", outside: null });
});

test("other outputs are no pairs", () => {
    assert.deepEqual(pairsOf(undefined), []);
    assert.deepEqual(pairsOf({ images: [file("a")] }), []);
});

test("a file is asked for by its whole name, and not made smaller", () => {
    const route = routeOf({ filename: "a&b ü.png", subfolder: "x/y", type: "temp" });
    const query = new URL(route, "http://localhost").searchParams;
    assert.deepEqual([...query.keys()], ["filename", "subfolder", "type"]);
    assert.equal(query.get("filename"), "a&b ü.png");
});

test("the smaller picture is scaled to the larger one", () => {
    const small = { width: 100, height: 50 };
    const large = { width: 400, height: 300 };
    assert.equal(frameOf(small, large), large);
    assert.equal(frameOf(large, small), large);
    assert.deepEqual(place(small, large), { x: 0, y: 50, width: 400, height: 200 });
    assert.deepEqual(place(large, large), { x: 0, y: 0, width: 400, height: 300 });
});

const NO_MODIFIERS = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false };
const key = (/** @type {string} */ name, more = {}) => ({
    key: name,
    code: name,
    ...NO_MODIFIERS,
    ...more,
});

test("arrows move the slider and stop at its ends", () => {
    assert.deepEqual(actionOf(key("ArrowLeft"), 0.5), { do: "slide", to: 0.48 });
    assert.deepEqual(actionOf(key("ArrowUp", { shiftKey: true }), 0.5), { do: "slide", to: 0.6 });
    assert.deepEqual(actionOf(key("ArrowRight"), 0.99), { do: "slide", to: 1 });
    assert.deepEqual(actionOf(key("ArrowDown"), 0.01), { do: "slide", to: 0 });
});

test("letters are taken by their place", () => {
    assert.deepEqual(actionOf(key("ㅇ", { code: "KeyD" }), 0), { do: "difference" });
    assert.deepEqual(actionOf(key("M", { code: "KeyM", shiftKey: true }), 0), { do: "mask" });
});

test("other keys are left to the page", () => {
    for (const modifier of ["ctrlKey", "altKey", "metaKey"]) {
        assert.equal(actionOf(key("d", { code: "KeyD", [modifier]: true }), 0), null);
    }
    for (const other of ["Delete", "Tab", "Escape", "x"])
        assert.equal(actionOf(key(other), 0), null);
});

test("zooming in and out again changes nothing", () => {
    const factors = ["+", "-"].map((name) => {
        const action = actionOf(key(name), 0);
        return action?.do === "zoom" ? action.factor : 0;
    });
    assert.ok(Math.abs(factors[0] * factors[1] - 1) < 1e-12);
});

function store() {
    /** @type {Map<string, string>} */
    const items = new Map();
    return {
        getItem: (/** @type {string} */ name) => items.get(name) ?? null,
        setItem: (/** @type {string} */ name, /** @type {string} */ value) =>
            items.set(name, value),
    };
}

test("the last run of a node is recalled", () => {
    const kept = store();
    assert.equal(recall(kept, "one"), null);
    remember(kept, "one", { run: "r1", node: "3" });
    remember(kept, "two", { run: "r1", node: "4" });
    remember(kept, "one", { run: "r2", node: "3" });
    assert.deepEqual(recall(kept, "one"), { run: "r2", node: "3" });
    assert.deepEqual(recall(kept, "two"), { run: "r1", node: "4" });
});

test("old runs are forgotten", () => {
    const kept = store();
    for (let i = 0; i < 300; i++) remember(kept, `node ${i}`, { run: "r", node: "1" });
    assert.equal(recall(kept, "node 199"), null);
    assert.deepEqual(recall(kept, "node 200"), { run: "r", node: "1" });
    assert.ok((kept.getItem("CleanPlate.LastRuns") ?? "").length < 5000);
});

test("every language has all words", () => {
    const shape = (/** @type {object} */ words) =>
        Object.entries(words).map(([name, word]) => [name, typeof word, Boolean(word)]);
    const english = wordsFor("en");
    for (const locale of ["ko", "ja", "zh"]) {
        const words = wordsFor(locale);
        assert.notEqual(words, english);
        assert.deepEqual(shape(words), shape(english));
        assert.deepEqual(shape(words.mask), shape(english.mask));
        assert.ok(words.changed.includes("{levels}"));
    }
    assert.equal(wordsFor("zh-TW"), wordsFor("zh"));
    assert.equal(wordsFor("fr"), english);
    assert.equal(wordsFor(undefined), english);
});
