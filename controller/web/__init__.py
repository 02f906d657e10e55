"""HTTP without business."""
