import assert from "node:assert/strict";
import { test } from "node:test";

import { fit, isFit, pan, zoom } from "../../js/lib/view.js";

const PICTURE = { width: 400, height: 200 };
const WINDOW = { width: 200, height: 200 };
const MIDDLE = { x: 100, y: 100 };

test("all of a picture is shown in the middle", () => {
    assert.deepEqual(fit(PICTURE, WINDOW), { scale: 0.5, x: 0, y: 50 });
    assert.deepEqual(fit({ width: 10, height: 20 }, WINDOW), { scale: 10, x: 50, y: 0 });
});

test("zooming keeps what is under the pointer", () => {
    const at = { x: 150, y: 80 };
    const before = zoom(fit(PICTURE, WINDOW), 4, MIDDLE, PICTURE, WINDOW);
    const after = zoom(before, 1.5, at, PICTURE, WINDOW);
    assert.equal(after.scale, 3);
    for (const axis of /** @type {const} */ (["x", "y"])) {
        const under = (/** @type {import("../../js/lib/view.js").View} */ view) =>
            (at[axis] - view[axis]) / view.scale;
        assert.ok(Math.abs(under(after) - under(before)) < 1e-9);
    }
});

test("zooming ends where all is shown, and at large pixels", () => {
    const whole = fit(PICTURE, WINDOW);
    assert.deepEqual(zoom(whole, 0.1, { x: 3, y: 7 }, PICTURE, WINDOW), whole);
    assert.equal(zoom(whole, 1e6, MIDDLE, PICTURE, WINDOW).scale, 32);
    assert.ok(isFit(whole, PICTURE, WINDOW));
    assert.ok(!isFit(zoom(whole, 1.1, MIDDLE, PICTURE, WINDOW), PICTURE, WINDOW));
});

test("a picture of few pixels still fills the window", () => {
    const tiny = { width: 2, height: 2 };
    assert.equal(zoom(fit(tiny, WINDOW), 2, MIDDLE, tiny, WINDOW).scale, 100);
});

test("panning leaves no gap", () => {
    const view = zoom(fit(PICTURE, WINDOW), 4, MIDDLE, PICTURE, WINDOW);
    assert.deepEqual(pan(view, { x: 1e5, y: 1e5 }, PICTURE, WINDOW), { scale: 2, x: 0, y: 0 });
    const end = { scale: 2, x: 200 - 800, y: 200 - 400 };
    assert.deepEqual(pan(view, { x: -1e5, y: -1e5 }, PICTURE, WINDOW), end);
});

test("a side that is shown whole stays in the middle", () => {
    const whole = fit(PICTURE, WINDOW);
    assert.deepEqual(pan(whole, { x: 9, y: 9 }, PICTURE, WINDOW), whole);
});
