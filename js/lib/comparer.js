/** Two pictures in one place, with a slider between them. */

import { actionOf } from "./compare_keys.js";
import { makeParts } from "./compare_parts.js";
import { frameOf, place } from "./pairs.js";
import { pointOf, watchPointers } from "./pointers.js";
import { fit, isFit, pan, zoom } from "./view.js";

/**
 * @typedef {import("./pairs.js").Pair} Pair
 * @typedef {import("./view.js").Point} Point
 * @typedef {import("./view.js").Size} Size
 * @typedef {import("./compare_words.js").Words} Words
 * @typedef {"slide" | "click"} Mode - the slider follows the pointer, or pressing shows `before`
 * @typedef {"off" | "outline" | "only"} MaskView
 */

/** @type {readonly MaskView[]} */
const MASK_VIEWS = ["off", "outline", "only"];
const FIRST_GAIN = "2";
/** How much of a notch of the wheel goes into the scale. */
const WHEEL = 0.0015;
/** Screen pixels that a pixel must take to be shown as a square. */
const SQUARE = 4;

export class Comparer {
    /** @type {readonly Pair[]} */
    #pairs = [];
    #index = 0;
    /**
     * The pair that is seen, while the one that was asked for may still be loading.
     *
     * @type {Pair | null}
     */
    #shown = null;
    #turn = 0;
    /** @type {Size | null} */
    #frame = null;
    #view = { scale: 1, x: 0, y: 0 };
    #whole = true;
    #position = 0.5;
    #held = false;
    #difference = false;
    /** @type {MaskView} */
    #maskView = "outline";
    /** @type {Mode} */
    #mode = "slide";
    #parts;
    #words;
    #urlOf;

    /**
     * @param {(file: FileReference) => string} urlOf - where a file is served
     * @param {Words} words
     */
    constructor(urlOf, words) {
        this.#urlOf = urlOf;
        this.#words = words;
        this.#parts = makeParts(words);
        this.#parts.gain.value = FIRST_GAIN;
        this.#say(words.empty);
        this.#listen();
        new ResizeObserver(() => this.#fitAgain()).observe(this.#parts.stage);
        this.#update();
    }

    /** The element to show. */
    get element() {
        return this.#parts.root;
    }

    /** @param {Mode} mode */
    set mode(mode) {
        this.#mode = mode;
        this.#held = false;
        this.#slide(mode === "click" ? 0 : 0.5);
        this.#settle();
    }

    /**
     * Shows other pictures; the place that is looked at stays if they are of the same size.
     *
     * @param {readonly Pair[]} pairs
     */
    show(pairs) {
        this.#pairs = pairs;
        this.#index = Math.min(this.#index, Math.max(0, pairs.length - 1));
        void this.#load();
    }

    async #load() {
        const pair = this.#pairs[this.#index];
        const turn = ++this.#turn;
        if (!pair) this.#shown = null;
        this.#update();
        if (!pair) return;
        const images = [pair.before, pair.after].map((file) => {
            const image = new Image();
            image.alt = "";
            image.draggable = false;
            image.src = this.#urlOf(file);
            return image;
        });
        try {
            await Promise.all(images.map((image) => image.decode()));
        } catch {
            if (turn === this.#turn) this.#lose();
            return;
        }
        // Meanwhile others may have been asked for.
        const [before, after] = images;
        if (turn === this.#turn && before && after) this.#put(before, after, pair);
    }

    /**
     * @param {HTMLImageElement} before
     * @param {HTMLImageElement} after
     * @param {Pair} pair
     */
    #put(before, after, pair) {
        const { worlds, labels, inside, outlines } = this.#parts;
        const frame = frameOf(sizeOf(before), sizeOf(after));
        for (const [side, image] of /** @type {const} */ ([
            ["before", before],
            ["after", after],
        ])) {
            const box = place(sizeOf(image), frame);
            image.style.left = `${box.x}px`;
            image.style.top = `${box.y}px`;
            image.style.width = `${box.width}px`;
            image.style.height = `${box.height}px`;
            worlds[side].replaceChildren(image);
            worlds[side].style.width = `${frame.width}px`;
            worlds[side].style.height = `${frame.height}px`;
            const { width, height } = sizeOf(image);
            labels[side].textContent = `${this.#words[side]} · ${width} × ${height}`;
        }
        for (const path of [...outlines, inside]) path.setAttribute("d", pair.outline);
        if (this.#frame?.width !== frame.width || this.#frame.height !== frame.height) {
            this.#frame = frame;
            this.#whole = true;
        }
        this.#say("");
        this.#fitAgain();
        this.#shown = pair;
        this.#update();
    }

    #lose() {
        this.#say(this.#words.gone);
        this.#shown = null;
        this.#update();
    }

    /** @param {string} message */
    #say(message) {
        this.#parts.message.textContent = message;
        this.#parts.root.classList.toggle("cp-empty", message !== "");
    }

    get #window() {
        const { clientWidth, clientHeight } = this.#parts.stage;
        return { width: Math.max(1, clientWidth), height: Math.max(1, clientHeight) };
    }

    #fitAgain() {
        if (!this.#frame) return;
        const whole = fit(this.#frame, this.#window);
        this.#look(
            this.#whole ? whole : pan(this.#view, { x: 0, y: 0 }, this.#frame, this.#window),
        );
        this.#slide(this.#position);
    }

    /**
     * Moves both pictures. Nothing is drawn or decoded anew for it.
     *
     * @param {import("./view.js").View} view
     */
    #look(view) {
        if (!this.#frame) return;
        const { worlds, before, lines, inside, stage, zoomValue } = this.#parts;
        this.#view = view;
        this.#whole = isFit(view, this.#frame, this.#window);
        const { scale, x, y } = view;
        // In three dimensions each picture is a layer of its own, which the graphics card cuts and
        // moves; else the slider would have both drawn anew.
        const transform = `translate3d(${x}px, ${y}px, 0) scale(${scale})`;
        worlds.before.style.transform = transform;
        worlds.after.style.transform = transform;
        const image = before.querySelector("img");
        if (image) {
            const box = place(sizeOf(image), this.#frame);
            const move = `translate(${x + scale * box.x} ${y + scale * box.y})`;
            const grow = `scale(${scale * box.width} ${scale * box.height})`;
            for (const path of [lines, inside]) path.setAttribute("transform", `${move} ${grow}`);
        }
        stage.classList.toggle("cp-squares", scale * window.devicePixelRatio >= SQUARE);
        stage.classList.toggle("cp-near", !this.#whole);
        zoomValue.textContent = `${Math.round(scale * 100)} %`;
    }

    /**
     * Moves the slider. This is all that happens when the pointer moves.
     *
     * @param {number} position - in parts of the width
     */
    #slide(position) {
        const { before, labelsBefore, labelsAfter, handle } = this.#parts;
        this.#position = Math.min(1, Math.max(0, position));
        const clip = `inset(0 ${100 * (1 - this.#position)}% 0 0)`;
        before.style.clipPath = clip;
        labelsBefore.style.clipPath = clip;
        labelsAfter.style.clipPath = `inset(0 0 0 ${100 * this.#position}%)`;
        handle.style.transform = `translate3d(${100 * this.#position}%, 0, 0)`;
    }

    /** Says where the slider has come to rest. */
    #settle() {
        const percent = Math.round(100 * this.#position);
        this.#parts.stage.setAttribute("aria-valuenow", `${percent}`);
        this.#parts.stage.setAttribute("aria-valuetext", `${percent} % ${this.#words.before}`);
    }

    /** Brings everything but slider and place up to date. */
    #update() {
        const { root, stage, pictures, buttons, gain, gains, gainValue } = this.#parts;
        const { overlay, clip, picker, count, verdict } = this.#parts;
        const pair = this.#shown;
        const masked = Boolean(pair?.outline);
        const maskView = masked ? this.#maskView : "off";
        const factor = 2 ** Number(gain.value);

        root.classList.toggle("cp-difference", this.#difference);
        stage.classList.toggle("cp-held", this.#held);
        stage.setAttribute("aria-disabled", `${this.#difference || !pair}`);
        pictures.style.filter = this.#difference && factor > 1 ? `brightness(${factor})` : "";
        pictures.style.clipPath = maskView === "only" ? clip : "";
        overlay.classList.toggle("cp-hidden", maskView === "off");
        buttons.difference.setAttribute("aria-pressed", `${this.#difference}`);
        buttons.mask.hidden = !masked;
        buttons.mask.dataset.view = maskView;
        buttons.mask.setAttribute("aria-label", this.#words.mask[maskView]);
        buttons.mask.title = this.#words.mask[maskView];
        gains.hidden = !this.#difference;
        gainValue.textContent = `× ${factor}`;
        picker.hidden = this.#pairs.length < 2;
        count.textContent = `${this.#index + 1} / ${this.#pairs.length}`;
        const outside = pair?.outside ?? null;
        verdict.textContent = this.#verdict(outside);
        verdict.classList.toggle("cp-good", outside === 0);
        this.#settle();
    }

    /** @param {number | null} outside */
    #verdict(outside) {
        if (outside === null) return "";
        if (outside === 0) return this.#words.unchanged;
        return this.#words.changed.replace("{levels}", `${outside}`);
    }

    #listen() {
        const { root, stage, buttons, gain, zoomValue } = this.#parts;
        watchPointers(stage, {
            hover: (at) => this.#follow(at),
            press: () => {
                if (this.#mode === "click") this.#slide(1);
            },
            drag: (at, by, touch) => {
                if (!this.#whole && !touch) this.#pan(by);
                else if (this.#mode === "slide") this.#slideTo(at);
            },
            pinch: (at, by, factor) => {
                this.#zoom(factor, at);
                this.#pan(by);
            },
            tap: (at, touch) => {
                if (this.#mode !== "slide" || this.#difference) return;
                if (!touch) this.#hold(); // a finger that is lifted no longer moves the slider
                this.#slideTo(at);
            },
            release: () => {
                if (this.#mode === "click") this.#slide(0);
                this.#settle();
            },
        });
        stage.addEventListener("pointerleave", () => this.#settle());
        stage.addEventListener(
            "wheel",
            (event) => {
                if (!root.contains(document.activeElement)) return;
                event.preventDefault();
                event.stopPropagation();
                this.#zoom(Math.exp(-event.deltaY * WHEEL), pointOf(event, stage));
            },
            { passive: false },
        );
        root.addEventListener("keydown", (event) => this.#key(event));
        buttons.difference.addEventListener("click", () => this.#toggleDifference());
        buttons.mask.addEventListener("click", () => this.#nextMaskView());
        buttons.larger.addEventListener("click", () => this.#zoom(1.5));
        buttons.smaller.addEventListener("click", () => this.#zoom(1 / 1.5));
        buttons.previous.addEventListener("click", () => this.#step(-1));
        buttons.next.addEventListener("click", () => this.#step(1));
        zoomValue.addEventListener("click", () => this.#fit());
        gain.addEventListener("input", () => this.#update());
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        const letter = event.code.startsWith("Key");
        if (event.target !== this.#parts.stage && !letter) return;
        const action = actionOf(event, this.#position);
        if (!action) return;
        event.preventDefault();
        event.stopPropagation();
        if (action.do === "slide") {
            this.#slide(action.to);
            this.#settle();
        } else if (action.do === "zoom") this.#zoom(action.factor);
        else if (action.do === "step") this.#step(action.by);
        else if (action.do === "fit") this.#fit();
        else if (action.do === "actual") this.#zoom(1 / this.#view.scale);
        else if (action.do === "difference") this.#toggleDifference();
        else if (action.do === "mask") this.#nextMaskView();
        else this.#hold();
    }

    /** @param {Point} at */
    #follow(at) {
        if (this.#mode === "slide" && !this.#held && !this.#difference) this.#slideTo(at);
    }

    /** @param {Point} at */
    #slideTo(at) {
        this.#slide(at.x / this.#window.width);
    }

    #hold() {
        this.#held = !this.#held;
        this.#update();
    }

    /** @param {Point} by */
    #pan(by) {
        if (this.#frame) this.#look(pan(this.#view, by, this.#frame, this.#window));
    }

    /**
     * @param {number} factor
     * @param {Point} [at]
     */
    #zoom(factor, at) {
        if (!this.#frame) return;
        const { width, height } = this.#window;
        const middle = { x: width / 2, y: height / 2 };
        this.#look(zoom(this.#view, factor, at ?? middle, this.#frame, this.#window));
    }

    #fit() {
        this.#whole = true;
        this.#fitAgain();
    }

    #toggleDifference() {
        this.#difference = !this.#difference;
        this.#update();
    }

    #nextMaskView() {
        const next = (MASK_VIEWS.indexOf(this.#maskView) + 1) % MASK_VIEWS.length;
        this.#maskView = MASK_VIEWS[next] ?? "off";
        this.#update();
    }

    /** @param {number} by */
    #step(by) {
        const count = this.#pairs.length;
        if (count < 2) return;
        this.#index = (this.#index + by + count) % count;
        void this.#load();
    }
}

/**
 * @param {HTMLImageElement} image
 * @returns {Size}
 */
function sizeOf(image) {
    return { width: image.naturalWidth, height: image.naturalHeight };
}
