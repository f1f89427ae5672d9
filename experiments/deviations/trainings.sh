#!/bin/sh
# What settings of the training are worth, one at a time: trainings.sh CSD_DIR [OUT] [STEPS] [NAME ...]
# CSD_DIR: the folder of data=csd with Niño Dios d'amor herido. Every model is trained by the paper's
# recipe but for one thing, on mixtures of four of singers 1 and 2, with the published F0 tracks, for as
# many steps of four excerpts of 2 s from the same seed; it separates singer 3. NAMEs choose models.
set -eu
csd=$1
out=${2:-outputs/deviations}
steps=${3:-72}
shift $(($# < 3 ? $# : 3))
chosen=" $* "

model() {
    name=$1
    kind=$2
    shift 2
    case "$chosen" in "  " | *" $name "*) ;; *) return 0 ;; esac
    python -m src.train experiment="paper/${kind}_small" name="$name" data=csd "data.root=$csd" \
        'data.singers=[1,2]' data.f0=cached data.batch_size=4 data.excerpt_seconds=2 trainer=cpu threads=1 \
        trainer.max_steps="$steps" +trainer.limit_val_batches=2 \
        data.progress=false output="$out/train/$name" "$@"
    separate "$name" "$name"
}

# A model's scores, under a name of their own, with further settings of the evaluation.
separate() {
    model=$1
    name=$2
    shift 2
    case "$model" in unet*) separator=unet ;; *) separator=umss ;; esac
    python -m src.evaluate separator=$separator separator.mask=magnitude name="$name" data=csd \
        "data.root=$csd" 'data.singers=[3]' n_singers=4 f0=cached 'seeds=[0]' threads=1 \
        data.progress=false separator.checkpoint="$out/train/$model/checkpoints/best.ckpt" \
        output="$out/evaluation/$name" skip_existing=true "$@"
}

# Freedoms of the paper's section III-B.
model us us
model us_r_constant us model.voice.harmonic_filter=constant
model us_r_varying us model.voice.harmonic_filter=varying
model us_d_varying us model.voice.noise_filter=varying
model us_both_varying us model.voice.harmonic_filter=varying model.voice.noise_filter=varying
# Deviations.
model us_other_seed us seed=1
model us_gap us model.voice.minimum_gap=0.1
model us_clipped us trainer.gradient_clip_val=1.0
model us_hold us model.voice.f0_edges=hold
model sv sv
model sv_mean sv model.sum_over_sources=false
model unet unet
model unet_control unet model.unet.control=normalised
model unet_leak unet model.unet.leak=0.2
[ "$chosen" = "  " ] || exit 0
separate us us_power_masks separator.mask=power
separate us us_snr_512 spectral_snr.n_fft=512 spectral_snr.hop=256
python -m experiments.deviations.trainings "$out"
