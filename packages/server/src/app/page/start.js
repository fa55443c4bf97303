import { ApiError, parse, request } from './connection.js'
import { askInDialog, el } from './dom.js'

const jsonTypes = /^(json|object|dict|list|array|number|int|integer|float|bool|boolean|any)$/i

/** Asks for a plan's inputs, starts the run and goes to it. */
export async function startRunDialog(plan, { navigate, signal }) {
  const fields = Object.entries(plan.inputs).map(([name, input], n) =>
    inputField({ name, input, id: `input-${n}`, first: n === 0 }),
  )
  const run = await askInDialog({
    title: `Start a run of ${plan.name}`,
    body: [
      fields.length === 0 ? el('p', {}, 'This plan needs no inputs.') : null,
      ...fields.map(field => field.node),
    ].filter(part => part !== null),
    submitLabel: 'Start',
    submit: async () => {
      const inputs = {}
      for (const field of fields) {
        const value = await field.read()
        if (value !== undefined) inputs[field.name] = value
      }
      return request('POST', '/api/runs', { body: { plan_id: plan.id, inputs }, signal })
    },
  })
  if (run) navigate(`/runs/${encodeURIComponent(run.run_id)}`)
}

function inputField({ name, input, id, first }) {
  const label = input.natural_name || name
  const needed = input.required && !input.has_default
  const kinds = ['Text', 'JSON', 'File']
  const kind = el(
    'select',
    { 'aria-label': `How ${label} is given` },
    ...kinds.map(option =>
      el('option', { value: option, selected: option === (jsonTypes.test(input.type) ? 'JSON' : 'Text') }, option),
    ),
  )
  const text = el('textarea', { id, rows: 3, autofocus: first, 'aria-describedby': `${id}-hint` })
  const file = el('input', { type: 'file', 'aria-label': `File for ${label}`, hidden: true })
  kind.addEventListener('change', () => {
    file.hidden = kind.value !== 'File'
    text.hidden = kind.value === 'File'
  })
  const hint = [
    input.description,
    needed ? null : input.has_default ? 'Left empty, the plan’s own value is used.' : 'May be left empty.',
  ]
  const node = el(
    'div',
    { class: 'field' },
    el(
      'div',
      { class: 'field-head' },
      el('label', { for: id }, label, needed ? el('span', { class: 'required' }, ' required') : null),
      kind,
    ),
    text,
    file,
    el(
      'p',
      { class: 'hint', id: `${id}-hint` },
      el('code', {}, name),
      ...hint.filter(Boolean).map(part => ` · ${part}`),
    ),
  )
  const read = async () => {
    const value = await readField({ kind: kind.value, text: text.value, file: file.files[0], label })
    if (value === undefined && needed) throw new ApiError('input.invalid', `${label} is required. Enter it first.`)
    return value
  }
  return { name, node, read }
}

async function readField({ kind, text, file, label }) {
  if (kind === 'File') return file ? fileValue(file) : undefined
  if (text === '') return undefined
  if (kind === 'Text') return text
  const value = parse(text)
  if (value === undefined)
    throw new ApiError('input.invalid', `${label} is not valid JSON. Correct it, or give it as text.`)
  return value
}

/** Text as it is; anything else as a `data:` URL, which becomes a file of the run. */
async function fileValue(file) {
  const bytes = new Uint8Array(await file.arrayBuffer())
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Not UTF-8, so it is not text.
  }
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.addEventListener('load', () => resolve(reader.result))
    reader.addEventListener('error', () => reject(new ApiError('input.invalid', `${file.name} could not be read.`)))
    reader.readAsDataURL(file)
  })
}
