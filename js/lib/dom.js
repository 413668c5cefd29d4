/**
 * Building pieces of a page. Nothing here knows of ComfyUI.
 *
 * Modules in this folder hold what can be thought and tested alone: they import nothing of
 * ComfyUI and do nothing when they are loaded, because ComfyUI loads every file below js/ by
 * itself. The files beside this folder, one for each widget, tell ComfyUI of them.
 */

const NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
}

/**
 * Makes an element of a drawing.
 *
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 * @returns {SVGElementTagNameMap[K]}
 */
export function shape(tag, attributes) {
    const made = document.createElementNS(NAMESPACE, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
}

/**
 * Makes a button that shows a sign and has a name.
 *
 * @param {string} sign
 * @param {string} label
 * @param {() => void} press
 */
export function signButton(sign, label, press) {
    const made = element("button", { type: "button", "aria-label": label, title: label }, sign);
    made.addEventListener("click", press);
    return made;
}

/**
 * Adds a style sheet to the page, once.
 *
 * @param {URL} address - as `new URL("./name.css", import.meta.url)`
 */
export function useStyleSheet(address) {
    const { href } = address;
    const links = [...document.querySelectorAll("link")];
    if (links.some((link) => link.href === href)) return;
    document.head.append(element("link", { rel: "stylesheet", href }));
}
