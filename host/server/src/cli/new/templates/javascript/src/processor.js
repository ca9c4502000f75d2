// A processor: lines of CSV in, JSON out.
//
// Users send `text/csv` with a name and a number in each line. The model behind it takes the
// numbers as the tensor `x` and knows of neither names nor CSV. Clients of TensorFlow Serving's
// JSON and gRPC send and get the model's own tensors, as if nothing stood before it.

import {
  answerJson,
  answerTensors,
  description,
  expectInput,
  expectOutput,
  invalid,
  output,
  run,
  signatureOf,
  tensor,
  text,
} from './tensors.js';

// The signature of the model that is covered, with its input and output.
const SIGNATURE = 'serving_default';
const INPUT = 'x';
const OUTPUT = 'y';

// Lines of one request; more are refused, which bounds what a request costs.
const MAX_LINES = 10_000;

// The names in the CSV of this request; undefined where tensors were sent. An instance serves one
// request, so that a variable holds what belongs to it.
let names;

export const processor = {
  // Called once for each version of the model, before it serves: an error here keeps a model that
  // does not fit from being served.
  describe(subject) {
    const signature = signatureOf(subject, SIGNATURE);
    expectInput(signature, INPUT, 'float', [-1]);
    expectOutput(signature, OUTPUT, 'float', [-1]);
    return [description(SIGNATURE, { contentTypes: ['text/csv'] })];
  },

  preprocess(context, request) {
    if (request.tag === 'tensors') {
      names = undefined;
      return run(context.signatureName, request.val);
    }
    const lines = parse(text(request.val));
    names = lines.map((line) => line.name);
    const numbers = lines.map((line) => line.number);
    return run(context.signatureName, [tensor(INPUT, 'float', [numbers.length], numbers)]);
  },

  postprocess(context, outputs) {
    if (names === undefined) {
      return answerTensors(context, outputs);
    }
    const y = output(outputs, OUTPUT, 'float', [names.length]);
    return answerJson(names.map((name, index) => ({ name, y: y.values[index] })));
  },
};

// The names and the numbers of lines like `kitchen,21.5`.
export function parse(csv) {
  const lines = [];
  csv.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '') {
      return;
    }
    if (lines.length === MAX_LINES) {
      throw invalid(`expected at most ${MAX_LINES} lines`);
    }
    const comma = line.lastIndexOf(',');
    const value = line.slice(comma + 1).trim();
    const number = Number(value);
    if (comma === -1 || value === '' || !Number.isFinite(number)) {
      throw invalid(`line ${index + 1}: expected a name, a comma and a number, found ${JSON.stringify(line)}`);
    }
    lines.push({ name: line.slice(0, comma).trim(), number });
  });
  if (lines.length === 0) {
    throw invalid('expected lines of CSV, found none');
  }
  return lines;
}
