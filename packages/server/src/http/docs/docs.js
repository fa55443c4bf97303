// Shows the OpenAPI document of this server. Everything is set as text, so nothing of it can become markup.
const operations = document.getElementById('operations')
const form = document.getElementById('token')

function el(name, ...children) {
  const element = document.createElement(name)
  element.append(...children)
  return element
}

function schemaBlock(title, content) {
  const [type, media] = Object.entries(content ?? {})[0] ?? []
  if (!type) return []
  return [el('h4', `${title} (${type})`), el('pre', JSON.stringify(media.schema, null, 2))]
}

function parameters(list) {
  if (!list?.length) return []
  const rows = list.map(({ name, in: place, required, schema }) =>
    el(
      'tr',
      el('td', el('code', name)),
      el('td', place),
      el('td', required ? 'required' : ''),
      el('td', el('code', JSON.stringify(schema))),
    ),
  )
  return [el('h4', 'Parameters'), el('table', ...rows)]
}

function operation(method, path, described) {
  const replies = Object.entries(described.responses).map(([status, reply]) =>
    el('tr', el('td', status), el('td', reply.description)),
  )
  const [done] = Object.entries(described.responses).find(([status]) => status < '300') ?? []
  return el(
    'details',
    el('summary', el('b', method.toUpperCase()), el('code', path), ` ${described.summary}`),
    ...parameters(described.parameters),
    ...schemaBlock('Body', described.requestBody?.content),
    ...schemaBlock('Reply', described.responses[done]?.content),
    el('h4', 'Status'),
    el('table', ...replies),
  )
}

function show(api) {
  document.getElementById('about').textContent = `${api.info.description} Version ${api.info.version}.`
  const sections = api.tags.map(({ name }) => {
    const found = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, described]) => described.tags.includes(name))
        .map(([method, described]) => operation(method, path, described)),
    )
    return el('section', el('h2', name), ...found)
  })
  operations.replaceChildren(...sections)
}

async function load(token) {
  const reply = await fetch('/openapi.json', { headers: token ? { authorization: `Bearer ${token}` } : {} })
  form.hidden = reply.status !== 401
  if (reply.ok) show(await reply.json())
  else operations.textContent = (await reply.json()).error.message
}

form.addEventListener('submit', event => {
  event.preventDefault()
  void load(form.querySelector('input').value)
})
load('').catch(error => {
  operations.textContent = `The description could not be loaded: ${error.message}`
})
