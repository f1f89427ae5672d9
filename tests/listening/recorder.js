/* Records what tracks send to the output, sample by sample, with the frame each sample is heard at. */
class Recorder extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage({frame: currentFrame, samples: input});
    return true;
  }
}
registerProcessor("recorder", Recorder);
