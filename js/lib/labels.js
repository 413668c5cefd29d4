/**
 * What the frontend leaves in English of a node whose pack has locales: options, and the tooltips of
 * inputs that only appear with an option.
 *
 * What a widget holds stays the option itself: a saved workflow knows nothing of languages.
 *
 * @typedef {Readonly<Record<string, string>>} Labels - by option, its dots replaced as in every key
 * @typedef {Readonly<Record<string, { tooltip?: string, options?: Labels }>>} InputTexts -
 *     by input, its dots replaced
 * @typedef {{
 *     getOptionLabel?: (value?: string | null) => string,
 *     on?: string,
 *     off?: string,
 * }} Options
 * @typedef {{ name: string, type: string, options: Options }} Widget
 */

/**
 * Gives choices and switches the labels of a language.
 *
 * @param {readonly Widget[]} widgets
 * @param {InputTexts} texts - of the node, as in locales/<language>/nodeDefs.json
 */
export function labelOptions(widgets, texts) {
    for (const { name, type, options } of widgets) {
        const labels = texts[name]?.options;
        if (!labels) continue;
        if (type === "toggle") Object.assign(options, labels);
        else options.getOptionLabel = (value) => labelOf(value ?? "", labels);
    }
}

/**
 * @param {string} option
 * @param {Labels} labels
 */
function labelOf(option, labels) {
    return labels[option.replaceAll(".", "_")] ?? option;
}

/**
 * Gives the inputs behind the options of a choice the tooltips of a language.
 *
 * @param {NodeDefinition["input"]} inputs - is changed
 * @param {InputTexts} texts - of the node
 */
export function translateTooltips(inputs, texts, before = "") {
    for (const [name, [, settings]] of Object.entries({ ...inputs.required, ...inputs.optional })) {
        const key = `${before}${name}`;
        const tooltip = texts[key]?.tooltip;
        if (before && tooltip && settings) settings["tooltip"] = tooltip;
        for (const option of settings?.["options"] ?? []) {
            if (option.inputs) translateTooltips(option.inputs, texts, `${key}_`);
        }
    }
}
