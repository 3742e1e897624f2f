"""Small ONNX graphs with the inputs and outputs of known segmenters: they answer the box itself."""

from pathlib import Path

import onnx
import onnx.parser

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
INSIDE = """
    corner0 = Slice (points, zero, one, axis)
    corner1 = Slice (points, one, two, axis)
    x0 = Slice (corner0, zero, one, last)
    y0 = Slice (corner0, one, two, last)
    x1 = Slice (corner1, zero, one, last)
    y1 = Slice (corner1, one, two, last)
    left = Sub (x, x0)
    right = Sub (x1, x)
    above = Sub (y, y0)
    below = Sub (y1, y)
    across = Min (left, right)
    down = Min (above, below)
    inside = Min (across, down)
"""
INDICES = """
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    axis = Constant <value_ints = [0]> ()
    last = Constant <value_ints = [1]> ()
"""
ENCODER = """
encoder (float[height, width, 3] input_image) => (float[1, 256, 64, 64] image_embeddings) {
    mean = ReduceMean <keepdims = 0> (input_image)
    shape = Constant <value_ints = [1, 256, 64, 64]> ()
    image_embeddings = Expand (mean, shape)
}
"""
SQUARE_ENCODER = ENCODER.replace(
    "float[height, width, 3] input_image", "float[1, 3, 1024, 1024] input_image"
)
DECODER = f"""
decoder (
    float[1, 256, 64, 64] image_embeddings, float[1, n, 2] point_coords, float[1, n] point_labels,
    float[1, 1, 256, 256] mask_input, float[1] has_mask_input, float[2] orig_im_size
) => (float[1, 1, h, w] masks, float[1, 1] iou_predictions, float[1, 1, 256, 256] low_res_masks) {{
    {INDICES}
    points = Squeeze (point_coords, zero)
    size = Cast <to = 7> (orig_im_size)
    start = Constant <value_int = 0> ()
    step = Constant <value_int = 1> ()
    rows = Slice (size, zero, one)
    columns = Slice (size, one, two)
    height = Squeeze (rows, zero)
    width = Squeeze (columns, zero)
    y_int = Range (start, height, step)
    x_int = Range (start, width, step)
    y_flat = Cast <to = 1> (y_int)
    x_flat = Cast <to = 1> (x_int)
    y = Unsqueeze (y_flat, one)
    x = Unsqueeze (x_flat, zero)
    {INSIDE}
    lead = Constant <value_ints = [0, 1]> ()
    planes = Unsqueeze (inside, lead)
    embedding = ReduceMean <keepdims = 0> (image_embeddings)
    label = ReduceMean <keepdims = 0> (point_labels)
    has = ReduceMean <keepdims = 0> (has_mask_input)
    nothing = Constant <value_float = 0.0> ()
    all = Add (embedding, label)
    every = Add (all, has)
    weighed = Mul (every, nothing)
    masks = Add (planes, weighed)
    low_res_masks = Identity (mask_input)
    quality = Constant <value_floats = [0.9]> ()
    iou_predictions = Unsqueeze (quality, zero)
}}
"""
EFFICIENT = f"""
efficient (
    float[1, 3, 1024, 1024] batched_images, float[1, 1, 6, 2] batched_point_coords,
    float[1, 1, 6] batched_point_labels
) => (float[1, 1, 2, 1024, 1024] output_masks, float[1, 1, 2] iou_predictions) {{
    {INDICES}
    lead = Constant <value_ints = [0, 1]> ()
    points = Squeeze (batched_point_coords, lead)
    start = Constant <value_int = 0> ()
    step = Constant <value_int = 1> ()
    side = Constant <value_int = 1024> ()
    int = Range (start, side, step)
    flat = Cast <to = 1> (int)
    y = Unsqueeze (flat, one)
    x = Unsqueeze (flat, zero)
    {INSIDE}
    image = ReduceMean <keepdims = 0> (batched_images)
    label = ReduceMean <keepdims = 0> (batched_point_labels)
    nothing = Constant <value_float = 0.0> ()
    all = Add (image, label)
    weighed = Mul (all, nothing)
    good = Add (inside, weighed)
    bad = Neg (good)
    good_plane = Unsqueeze (good, zero)
    bad_plane = Unsqueeze (bad, zero)
    both = Concat <axis = 0> (bad_plane, good_plane)
    output_masks = Unsqueeze (both, lead)
    quality = Constant <value_floats = [0.1, 0.9]> ()
    iou_predictions = Unsqueeze (quality, lead)
}}
"""
SALIENCY = """
saliency (float[1, 3, 320, 320] input) => (float[1, 1, 320, 320] d0, float[1, 1, 320, 320] d1) {
    d0 = ReduceMean <axes = [1]> (input)
    d1 = Neg (d0)
}
"""


def write(path: Path, text: str) -> Path:
    """Write a graph as an ONNX file."""
    model = onnx.parser.parse_model(HEAD + text)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
