"""What the tests share: where ComfyUI is, a server to talk to, a ComfyUI in this process."""
