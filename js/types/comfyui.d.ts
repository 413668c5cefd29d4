/** What the pack uses of ComfyUI's page. Extend it where a widget needs more. */

declare module "*/scripts/app.js" {
    export const app: ComfyApp;
}

declare module "*/scripts/api.js" {
    export const api: ComfyApi;
}

interface ComfyApi {
    apiURL(route: string): string;
    /** The contents of every pack's locales/, by language and file. */
    getCustomNodesI18n(): Promise<Record<string, Record<string, any>>>;
    fetchApi(route: string, options?: RequestInit): Promise<Response>;
}

interface ComfyApp {
    api: ComfyApi;
    registerExtension(extension: ComfyExtension): void;
    graph: ComfyGraph;
    canvas: ComfyCanvas;
    /** What nodes have shown, by locator: an id, after that of its subgraph and a colon if any. */
    nodeOutputs: Record<string, NodeOutput | undefined>;
    extensionManager: {
        setting: { get(id: string): any };
        toast: { add(message: ComfyToast): void };
    };
}

interface ComfyExtension {
    name: string;
    settings?: ComfySetting[];
    commands?: { id: string; label: string; icon: string; function: () => unknown }[];
    /** The ids of commands for what is selected. */
    getSelectionToolboxCommands?(item: unknown): string[];
    getNodeMenuItems?(node: ComfyNode): { content: string; callback: () => void }[];
    /** Before any node is made. */
    init?(): void | Promise<void>;
    setup?(): void | Promise<void>;
    beforeRegisterNodeDef?(type: unknown, definition: NodeDefinition): void;
    nodeCreated?(node: ComfyNode): void;
    /** A node of a graph that has been opened, after its values have been set. */
    loadedGraphNode?(node: ComfyNode): void;
    /** `app.nodeOutputs` has been replaced, as when a tab is opened again. */
    onNodeOutputsUpdated?(outputs: Record<string, NodeOutput | undefined>): void;
}

/** What the server says of a kind of node. */
interface NodeDefinition {
    name: string;
    input: { required?: InputDefinitions; optional?: InputDefinitions };
}

type InputDefinitions = Record<string, [type: unknown, settings?: Record<string, any>]>;

interface ComfySetting {
    id: string;
    name: string;
    category: string[];
    type: string;
    options?: { text: string; value: string }[];
    tooltip?: string;
    defaultValue: unknown;
    onChange?(value: unknown): void;
}

interface ComfyGraph {
    id: string;
    isRootGraph: boolean;
    rootGraph: ComfyGraph;
    getNodeById(id: number | string): ComfyNode | null;
}

interface ComfyNode {
    id: number | string;
    graph: ComfyGraph | null;
    size: [number, number];
    comfyClass: string;
    widgets?: ComfyWidget[];
    onExecuted?: (output: NodeOutput) => void;
    onRemoved?: () => void;
    setSize(size: [number, number]): void;
    addDOMWidget(
        name: string,
        type: string,
        element: HTMLElement,
        options: {
            serialize: boolean;
            hideOnZoom: boolean;
            hideInPanel: boolean;
            margin?: number;
            getMinHeight(): number;
        },
    ): ComfyWidget;
}

interface ComfyWidget {
    name: string;
    type: string;
    value: unknown;
    options: Record<string, any>;
    serialize?: boolean;
}

/** The `ui` of a node's result. */
type NodeOutput = Record<string, unknown[] | undefined>;

/** A file of ComfyUI's. */
interface FileReference {
    filename: string;
    subfolder: string;
    type: string;
}
