"""Models of language of random weights, small enough for any machine, with a tokenizer of bytes, and a LoRA of `lore`.

    python tests/engines/tiny_chat.py FOLDER [sees] [embeds] [lora]

makes FOLDER/sees (Qwen3-VL, a picture of 256 × 256 is 64 tokens), FOLDER/embeds (BERT, whose vectors may be cut
short), FOLDER/lora. Run with an environment that has transformers. What they say is noise; that engines load them,
count their tokens, look at pictures and keep to what a request asks is real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TEMPLATE = """{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}
{%- if part.type in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.text is defined %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]  # fmt: skip
CONTEXT = 1024
LORE = Path(__file__).parents[2] / "embedded" / "models" / "lore"
PEFT_CONFIG = Path(__file__).with_name("peft_adapter_config.json")


def tokenizer_of_bytes(special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=special[2], pad_token=special[0])


def make_sees(folder: Path) -> None:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = tokenizer_of_bytes(SPECIAL)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5],
                            "mrope_interleaved": True},
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 64,
        "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }  # fmt: skip
    ids = dict(zip(SPECIAL, range(len(SPECIAL)), strict=True))
    config = Qwen3VLConfig(
        text_config=text, vision_config=vision, image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"], tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
    # The usual beginnings are so small that nothing which is seen would change what is said.
    # And it says letters: the rows of everything else are as likely as nothing.
    words = model.get_input_embeddings().weight.data
    for token, row in zip(tokenizer.convert_ids_to_tokens(range(len(words))), words, strict=True):
        if not (token.isascii() and token.isalpha()):
            row.mul_(0.0 if token in SPECIAL[:3] else 0.01)
    for name, parameter in model.named_parameters():
        if "embed" not in name and parameter.dim() > 1:
            parameter.data.mul_(6.0)
    model.save_pretrained(folder)
    picture = {"size": {"shortest_edge": 1024, "longest_edge": 65536}, "patch_size": 16, "merge_size": 2}
    _write(folder / "preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen3VLProcessor",
        "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **picture,
    })  # fmt: skip
    _write(folder / "video_preprocessor_config.json", {
        "video_processor_type": "Qwen3VLVideoProcessor", "processor_class": "Qwen3VLProcessor",
        "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **picture,
    })  # fmt: skip
    (folder / "chat_template.jinja").write_text(TEMPLATE)


def make_embeds(folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    tokenizer = tokenizer_of_bytes(special)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=256, pad_token_id=0, is_matryoshka=True,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).to(torch.bfloat16).save_pretrained(folder)
    _write(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ])  # fmt: skip
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True})


def make_lora(folder: Path) -> None:
    """What peft saves around `lore`, with its own config, which names no task (`test_engine_loras` holds both against
    peft); strong enough that something else is said."""
    import torch
    from safetensors.torch import save_file

    config, saved = json.loads((LORE / "config.json").read_text()), json.loads(PEFT_CONFIG.read_text())
    hidden, rank = config["hidden_size"], saved["r"]
    sizes = {"q_proj": config["num_attention_heads"], "v_proj": config["num_key_value_heads"]}
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, heads in sizes.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{place}.lora_A.weight"] = torch.randn(rank, hidden, generator=generator)
            tensors[f"{place}.lora_B.weight"] = torch.randn(heads * config["head_dim"], rank, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _write(folder / "adapter_config.json", saved)


def _write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    MADE = {"sees": make_sees, "embeds": make_embeds, "lora": make_lora}
    for wanted in sys.argv[2:] or MADE:
        MADE[wanted](Path(sys.argv[1]) / wanted)
