import { request } from './connection.js'
import { announce, el, put, showProblem } from './dom.js'

/** The open questions of a run, each with a form to answer it. */
export function questionsCard(runId, signal) {
  const node = el('section', { class: 'card questions', 'aria-labelledby': 'questions-title', hidden: true })
  const forms = new Map()
  const refresh = async () => {
    let open
    try {
      open = await request('GET', `/api/inputs?run_id=${encodeURIComponent(runId)}`, { signal })
    } catch {
      // What is shown stays; the next event asks again.
      return
    }
    if (signal.aborted) return
    const fresh = open.filter(question => !forms.has(question.input_id))
    for (const id of forms.keys()) if (!open.some(question => question.input_id === id)) forms.delete(id)
    // A form that is being filled in is kept as it is.
    for (const question of fresh) forms.set(question.input_id, questionForm(question, { signal, refresh }))
    node.hidden = forms.size === 0
    put(node, el('h2', { id: 'questions-title' }, 'This run asks you'), ...forms.values())
    if (fresh.length > 0) announce(`The run asks: ${fresh[0].prompt}`)
  }
  return { node, refresh }
}

const isYesOrNo = question => question.type === 'confirm' || question.type === 'repeat_call'

function questionForm(question, { signal, refresh }) {
  const id = `answer-${question.input_id}`
  const problem = el('div', { class: 'problem', role: 'alert', hidden: true })
  const field = answerField(question, id)
  const send = async answer => {
    problem.hidden = true
    try {
      await request('POST', `/api/inputs/${encodeURIComponent(question.input_id)}/submit`, { body: { answer }, signal })
      await refresh()
    } catch (error) {
      if (!signal.aborted) showProblem(problem, error)
    }
  }
  return el(
    'form',
    {
      onsubmit: event => {
        event.preventDefault()
        if (!isYesOrNo(question)) void send(question.type === 'multi_file_input' ? lines(field.value) : field.value)
      },
    },
    isYesOrNo(question)
      ? el('p', { class: 'prompt' }, question.prompt)
      : el('label', { for: id, class: 'prompt' }, question.prompt),
    field,
    problem,
    el(
      'div',
      { class: 'actions' },
      isYesOrNo(question)
        ? [
            el('button', { type: 'button', onclick: () => void send(false) }, 'No'),
            el('button', { type: 'button', class: 'primary', onclick: () => void send(true) }, 'Yes'),
          ].reduce((group, button) => (group.append(button), group), el('span', { class: 'buttons' }))
        : el('button', { class: 'primary' }, 'Answer'),
    ),
  )
}

function answerField(question, id) {
  if (isYesOrNo(question)) return null
  if (question.type === 'simple_text' || question.type === 'chat')
    return el('input', { id, type: 'text', autocomplete: 'off', value: question.initial_text ?? '' })
  const hint = question.type === 'multi_file_input' ? 'One path a line' : null
  return el(
    'textarea',
    { id, rows: question.type === 'text_editor' ? 10 : 4, placeholder: hint },
    question.initial_text ?? '',
  )
}

function lines(text) {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}
