/**
 * The keys of the comparer.
 *
 * @typedef {{ do: "slide", to: number }
 *     | { do: "zoom", factor: number }
 *     | { do: "step", by: number }
 *     | { do: "fit" | "actual" | "difference" | "mask" | "hold" }} Action
 */

const STEP = 0.02;
const LARGE_STEP = 0.1;
const ZOOM = 1.25;

/**
 * What a key does, if anything.
 *
 * @param {Pick<KeyboardEvent, "key" | "code" | "shiftKey" | "ctrlKey" | "altKey" | "metaKey">} event
 * @param {number} position - of the slider, in parts of the width
 * @returns {Action | null}
 */
export function actionOf(event, position) {
    if (event.ctrlKey || event.altKey || event.metaKey) return null;
    const step = event.shiftKey ? LARGE_STEP : STEP;
    switch (event.key) {
        case "ArrowRight":
        case "ArrowUp":
            return { do: "slide", to: Math.min(1, position + step) };
        case "ArrowLeft":
        case "ArrowDown":
            return { do: "slide", to: Math.max(0, position - step) };
        case "Home":
            return { do: "slide", to: 0 };
        case "End":
            return { do: "slide", to: 1 };
        case "PageUp":
            return { do: "step", by: -1 };
        case "PageDown":
            return { do: "step", by: 1 };
        case "+":
        case "=":
            return { do: "zoom", factor: ZOOM };
        case "-":
        case "_":
            return { do: "zoom", factor: 1 / ZOOM };
        case "0":
            return { do: "fit" };
        case "1":
            return { do: "actual" };
        case "Enter":
        case " ":
            return { do: "hold" };
    }
    // Letters by their place: other alphabets have others there.
    if (event.code === "KeyD") return { do: "difference" };
    if (event.code === "KeyM") return { do: "mask" };
    return null;
}
