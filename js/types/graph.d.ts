/** What the pack uses of graphs: nodes, wires, and the canvas they lie on. */

declare const LiteGraph: {
    createNode(type: string): ComfyNode | null;
};

interface ComfyCanvas {
    canvas: HTMLCanvasElement;
    /** The graph that is shown: the workflow's, or a subgraph. */
    graph: ComfyGraph;
    selectedItems: Set<unknown>;
    selectItems(items: unknown[]): void;
    setDirty(foreground: boolean, background: boolean): void;
    /** What happens until `emitAfterChange` is undone in one step. */
    emitBeforeChange(): void;
    emitAfterChange(): void;
    /**
     * Adds copies of nodes with their subgraphs, as pasting and the list of blueprints do. There
     * is no other way to it.
     */
    _deserializeItems(
        items: { nodes: object[]; subgraphs: object[] },
        options: { position?: [number, number] },
    ): { nodes: Map<unknown, ComfyNode> } | undefined;
}

interface ComfyGraph {
    nodes: ComfyNode[];
    add(node: ComfyNode): void;
}

interface ComfyNode {
    /** 0: runs; 2: muted; 4: bypassed. */
    mode: number;
    pos: [number, number];
    inputs: ComfyInput[];
    outputs: { type: string }[];
    readonly boundingRect: [number, number, number, number];

    isInputConnected(slot: number): boolean;
    getInputLink(slot: number): { origin_slot: number } | null;
    getInputNode(slot: number): ComfyNode | null;
    getOutputNodes(slot: number): ComfyNode[] | null;
    connect(output: number, to: ComfyNode, input: number): unknown;
}

interface ComfyInput {
    name: string;
    widget?: { name: string };
}

interface ComfyToast {
    severity: "success" | "info" | "warn" | "error";
    summary: string;
    detail: string;
    /** Milliseconds. */
    life: number;
}
