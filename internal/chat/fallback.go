package chat

import (
	"maps"
	"slices"
)

// fallbacks are for models without a template. None is ever picked unasked: a
// model tuned with the wrong one answers badly and nothing says why.
var fallbacks = map[string]string{
	"chatml": `{% for m in messages -%}
{{ '<|im_start|>' + m.role + '\n' }}
{%- if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`,

	"llama2": `{% set ns = namespace(system='') -%}
{% for m in messages -%}
{% if m.role == 'system' -%}
{% if not loop.first %}{{ raise_exception('the system message must come first') }}{% endif -%}
{% set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' -%}
{% elif m.role == 'user' -%}
{{ bos_token + '[INST] ' + ns.system + m.content|trim + ' [/INST]' }}{% set ns.system = '' -%}
{% elif m.role == 'assistant' -%}
{% generation %}{{ ' ' + m.content|trim + ' ' + eos_token }}{% endgeneration -%}
{% else %}{{ raise_exception('llama2 knows no role ' + m.role) }}{% endif -%}
{% endfor %}`,

	"alpaca": `{{ bos_token|default('') }}{% for m in messages -%}
{% if m.role == 'system' %}{{ m.content + '\n\n' }}
{%- elif m.role == 'user' %}{{ '### Instruction:\n' + m.content + '\n\n' }}
{%- elif m.role == 'assistant' %}{{ '### Response:\n' }}{% generation %}{{ m.content + eos_token }}{% endgeneration %}{{ '\n\n' }}
{%- else %}{{ raise_exception('alpaca knows no role ' + m.role) }}{% endif -%}
{% endfor -%}
{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}`,

	"raw": `{{ bos_token|default('') }}{% for m in messages -%}
{% if m.role == 'assistant' %}{% generation %}{{ m.content + eos_token }}{% endgeneration -%}
{% else %}{{ m.content }}{% endif -%}
{% endfor %}`,
}

// FallbackNames lists the templates of [Set.Fallback].
func FallbackNames() []string { return slices.Sorted(maps.Keys(fallbacks)) }
