"""What an architecture may consist of: Keras' own layers, functions and words that are pure.

None of them runs code of the file that names them, reads files, or keeps anything. What is missing
here can be added; what is wrong here is a hole.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average
    AveragePooling1D AveragePooling2D BatchNormalization CenterCrop Concatenate Conv1D Conv2D
    Conv2DTranspose Cropping1D Cropping2D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU
    EinsumDense Flatten GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization InputLayer LayerNormalization LeakyReLU
    MaxPooling1D MaxPooling2D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU
    Permute RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation
    RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    SeparableConv1D SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D Subtract
    ThresholdedReLU UnitNormalization UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    """
)
# What tf.keras.applications' ConvNeXt is made of besides.
APPLICATIONS = frozenset(("LayerScale", "StochasticDepth"))
MODELS = frozenset(("Functional", "Sequential"))
OPERATORS = frozenset(("TFOpLambda", "SlicingOpLambda"))
# Class -> the one module that it may say it is from.
MODULES = {
    **dict.fromkeys(LAYERS, "keras.layers"),
    **dict.fromkeys(APPLICATIONS, "keras.src.applications.convnext"),
    **dict.fromkeys(OPERATORS, "keras.src.layers.core.tf_op_layer"),
    "Functional": "keras.src.engine.functional",
    "Sequential": "keras",
}

# Objects inside a layer's config: kind -> module, classes.
PARTS: dict[str, tuple[str, frozenset[str]]] = {
    "initializer": (
        "keras.initializers",
        _words(
            """
            Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal
            LecunUniform Ones Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling
            Zeros
            """
        ),
    ),
    "regularizer": (
        "keras.regularizers",
        frozenset(("L1", "L2", "L1L2", "OrthogonalRegularizer")),
    ),
    "constraint": (
        "keras.constraints",
        frozenset(("MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm")),
    ),
    "dtype": ("keras.mixed_precision", frozenset(("Policy",))),
}
ACTIVATIONS = _words(
    """
    elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 selu sigmoid
    silu softmax softplus softsign swish tanh
    """
)
DTYPES = _words(
    "float16 bfloat16 float32 uint8 int8 int16 int32 int64 mixed_float16 mixed_bfloat16"
)
# Functions of TensorFlow in a functional model: elementwise, reductions, and changes of shape.
FUNCTIONS = _words(
    """
    __operators__.add __operators__.getitem cast clip_by_value compat.v1.expand_dims
    compat.v1.identity compat.v1.pad compat.v1.squeeze compat.v1.transpose concat
    convert_to_tensor expand_dims identity image.per_image_standardization image.resize
    linalg.matmul math.abs math.add math.divide math.divide_no_nan math.erf math.exp
    math.greater math.greater_equal math.l2_normalize math.less math.less_equal math.log
    math.log1p math.maximum math.minimum math.multiply math.negative math.pow math.reduce_max
    math.reduce_mean math.reduce_min math.reduce_std math.reduce_sum math.reduce_variance
    math.rsqrt math.sigmoid math.softplus math.sqrt math.square math.subtract math.tanh
    math.truediv nn.depth_to_space nn.elu nn.gelu nn.leaky_relu nn.log_softmax nn.relu nn.relu6
    nn.selu nn.silu nn.softmax nn.space_to_depth pad reshape reverse roll split squeeze stack
    transpose unstack where
    """
)
# What else a text in a config may be: choices of layers, and names that TensorFlow gives ops.
WORDS = _words(
    """
    same valid causal channels_last channels_first constant reflect wrap nearest bilinear bicubic
    area lanczos3 lanczos5 gaussian mitchellcubic horizontal vertical horizontal_and_vertical
    fan_in fan_out fan_avg uniform normal truncated_normal untruncated_normal dot concat CONSTANT
    REFLECT SYMMETRIC transpose rows columns NHWC batch
    """
)
