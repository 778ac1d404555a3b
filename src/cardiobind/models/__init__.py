"""Networks: plain torch modules that see tensors and know neither files nor configuration."""

from cardiobind.models.drop_fusion import DropFusion
from cardiobind.models.encoder import ENCODERS, Encoder, build_encoder, encoder_options
from cardiobind.models.heads import POOLS, AttentionPool, MeanPool, ProjectionHead, build_pool, pool_of
from cardiobind.models.latent_predictor import LatentPredictor
from cardiobind.models.lead_vit import LeadViT
from cardiobind.models.mae import MaskedAutoencoder
from cardiobind.models.monai_backbone import MonaiBackbone
from cardiobind.models.multimodal import FUSIONS, Fusion, LateFusion, Tower, build_fusion
from cardiobind.models.random_kernels import RandomKernels
from cardiobind.models.resnet import ResNet
from cardiobind.models.resnet1d import ResNet1d
from cardiobind.models.resnet_places import ResNetPlaces
from cardiobind.models.s4 import S4
from cardiobind.models.sequence import SequenceEncoder
from cardiobind.models.siamese import SiameseHead
from cardiobind.models.table_decoder import TableDecoder
from cardiobind.models.tabular import TabularMLP
from cardiobind.models.tabular_transformer import TabularTransformer
from cardiobind.models.teacher import Teacher
from cardiobind.models.token_fusion import TokenFusion
from cardiobind.models.vit import ViT
from cardiobind.models.vit_video import VideoViT
from cardiobind.models.weights import load_weights, parameter_count, resized_positions, spread_channels
from cardiobind.models.xresnet1d import XResNet1d

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "POOLS",
    "S4",
    "AttentionPool",
    "DropFusion",
    "Encoder",
    "Fusion",
    "LateFusion",
    "LatentPredictor",
    "LeadViT",
    "MaskedAutoencoder",
    "MeanPool",
    "MonaiBackbone",
    "ProjectionHead",
    "RandomKernels",
    "ResNet",
    "ResNet1d",
    "ResNetPlaces",
    "SequenceEncoder",
    "SiameseHead",
    "TableDecoder",
    "TabularMLP",
    "TabularTransformer",
    "Teacher",
    "TokenFusion",
    "Tower",
    "ViT",
    "VideoViT",
    "XResNet1d",
    "build_encoder",
    "build_fusion",
    "build_pool",
    "encoder_options",
    "load_weights",
    "parameter_count",
    "pool_of",
    "resized_positions",
    "spread_channels",
]
