/**
 * The options of a node's widgets in the user's language.
 *
 * The frontend translates every text of a node but these. What a widget holds stays the option
 * itself: a saved workflow knows nothing of languages.
 *
 * @typedef {Readonly<Record<string, string>>} Labels - by option, its dots replaced as in every key
 * @typedef {Readonly<Record<string, { options?: Labels }>>} InputTexts - by input
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
