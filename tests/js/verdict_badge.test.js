import assert from "node:assert/strict";
import { test } from "node:test";

import { summaryOf } from "../../js/lib/verdict_badge.js";

const GOOD = { score: 0.1, passed: true, threshold: 0.5 };
const BAD = { score: 0.875, passed: false, threshold: 0.5 };

test("a badge tells the verdict", () => {
    assert.deepEqual(summaryOf([GOOD], "en"), {
        outcome: "passed",
        text: "Passed",
        detail: "score 0.10, limit 0.50",
        score: 0.1,
    });
    assert.equal(summaryOf([BAD], "en").text, "An object came back");
    assert.equal(summaryOf([BAD], "ko").outcome, "failed");
});

test("of several pictures, the worst counts", () => {
    const said = summaryOf([GOOD, BAD, GOOD], "en");
    assert.deepEqual([said.outcome, said.score], ["failed", 0.875]);
    assert.equal(said.text, "1 of 3 came back");
    assert.equal(summaryOf([GOOD, GOOD], "en").text, "Passed");
});

test("before a run nothing is told", () => {
    assert.equal(summaryOf([], "en").outcome, "waiting");
});
