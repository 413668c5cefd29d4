/** What the pack uses of graphs: wires, and whether a node runs. */

interface ComfyNode {
    /** 0: runs; 2: muted; 4: bypassed. */
    mode: number;
    inputs: ComfyInput[];
    isInputConnected(slot: number): boolean;
    getInputLink(slot: number): { origin_slot: number } | null;
    getInputNode(slot: number): ComfyNode | null;
    getOutputNodes(slot: number): ComfyNode[] | null;
}

interface ComfyInput {
    name: string;
    widget?: { name: string };
}
