#!/usr/bin/env bash
# Prints a Kubernetes Job that trains EXP; arguments go to `fit`. An evicted pod starts again, and goes on from its last
# state; so does another Job with the same RUN. The image holds the code: build it again after a change.
#
#   EXP=exp IMAGE=registry/projection:latest launchers/kubernetes/job.sh --trainer.max_epochs 5 | kubectl apply -f -
#
# RUN          the name of the job and its run folder below runs/EXP (default: the experiment and the time)
# IMAGE        the image (default projection:latest)
# GPUS         how many; 0 trains on CPUs (default 1)
# CPUS, MEM    what the pod asks for (default 8, 32Gi)
# DATA_CLAIM   the volume claim that holds the HDF5 files (default projection-data); it is only read
# RUNS_CLAIM   the volume claim of run folders (default projection-runs)
# SECRET       a secret with WANDB_API_KEY, if there is one of this name (default projection)
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=kubernetes
answer_help "$@"
read_training "$@"
arguments=${listed//\$(/\$\$(} # or Kubernetes would replace a $(NAME)
gpu=
if ((gpus)); then gpu=", nvidia.com/gpu: $gpus"; fi

cat <<END
apiVersion: batch/v1
kind: Job
metadata: {name: "$run", labels: {app: projection}}
spec:
  backoffLimit: 20
  template:
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 120
      securityContext: {runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001}
      containers:
        - name: train
          image: "${IMAGE:-projection:latest}"
          args: $arguments
          envFrom: [{secretRef: {name: "${SECRET:-projection}", optional: true}}]
          resources: {limits: {cpu: "${CPUS:-8}", memory: "${MEM:-32Gi}"$gpu}}
          volumeMounts:
            - {name: data, mountPath: /workspace/data, readOnly: true}
            - {name: runs, mountPath: /workspace/runs}
            - {name: memory, mountPath: /dev/shm}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: "${DATA_CLAIM:-projection-data}", readOnly: true}}
        - {name: runs, persistentVolumeClaim: {claimName: "${RUNS_CLAIM:-projection-runs}"}}
        - {name: memory, emptyDir: {medium: Memory}}
END
