"""Talking to a running ComfyUI through its HTTP and websocket API; imports nothing of it."""
